"""A second start says whether what runs is what was asked for."""

import json
from pathlib import Path

import pytest

from infra.local.home import Home
from infra.local.processes.orphans import write_run_file
from infra.local.running import differences

FACTS = {"command_api": "http://127.0.0.1:8000", "query_api": "http://127.0.0.1:8001", "kafka": "127.0.0.1:9092"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return the home of a stack whose supervisor is this process."""
    home = Home(tmp_path)
    home.stack_file.write_text(json.dumps(FACTS))
    write_run_file(home.run_file, {})
    return home


@pytest.mark.parametrize(
    ("broker", "environment", "said"),
    [
        ("auto", {}, []),
        ("kafka", {"HARBOR_COMMAND_API__PORT": "8000", "HARBOR_QUERY_API__PORT": "0", "HARBOR_HOME": "x"}, []),
        ("auto", {"HARBOR_COMMAND_API__PORT": "9000"}, ["it runs with HARBOR_COMMAND_API__PORT=8000, not 9000"]),
        ("none", {}, ["it runs with a broker, not with BROKER=none"]),
        ("auto", {"HARBOR_REDIS__URL": "redis://:canary@r"}, ["it runs with another HARBOR_REDIS__URL"]),
    ],
)
def test_only_what_differs_is_named(home: Home, broker: str, environment: dict[str, str], said: list[str]) -> None:
    assert differences(home, broker, environment) == said


def test_a_stack_without_a_broker_is_not_one_with_a_broker(home: Home) -> None:
    home.stack_file.write_text(json.dumps(FACTS | {"kafka": None}))

    assert differences(home, "kafka", {}) == ["it runs without a broker, not with BROKER=kafka"]


def test_of_a_stack_that_is_only_starting_nothing_is_known(tmp_path: Path) -> None:
    assert differences(Home(tmp_path), "kafka", {"HARBOR_COMMAND_API__PORT": "9000"}) == []
