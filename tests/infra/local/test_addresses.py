"""Addresses and the environment of each process."""

import socket
from pathlib import Path

import pytest

from infra.local.addresses import Addresses, environment_of, role_url, service_port, shown
from infra.local.errors import LocalError
from infra.local.home import Home
from infra.local.report import table

ADMIN = "postgresql://admin:secret@db.example:5432/harbor?sslmode=require"
VARIABLE = "HARBOR_COMMAND_API__PORT"
HOSTS = "HARBOR_PUBLIC__TRUSTED_HOSTS"


def test_a_taken_port_names_the_variable_to_set(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(LocalError, match=f"port {port} is taken: set {VARIABLE} to another port"):
            service_port(Home(tmp_path), VARIABLE, {VARIABLE: str(port)})


def test_port_0_is_any_free_port_and_is_remembered(tmp_path: Path) -> None:
    home = Home(tmp_path)

    port = service_port(home, VARIABLE, {VARIABLE: "0"})

    assert port > 0
    assert service_port(home, VARIABLE, {VARIABLE: "0"}) == port


def test_a_port_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(LocalError, match=f"{VARIABLE} is not a port number"):
        service_port(Home(Path("unused")), VARIABLE, {VARIABLE: "http"})


def test_another_role_gets_the_same_database() -> None:
    expected = "postgresql://harbor_query_login:p%40ss@db.example:5432/harbor?sslmode=require"

    assert role_url(ADMIN, "harbor_query_login", "p@ss") == expected


def test_what_people_see_holds_no_password() -> None:
    assert shown(ADMIN) == "postgresql://db.example:5432/harbor?sslmode=require"
    assert shown("127.0.0.1:9092") == "127.0.0.1:9092"


def test_without_a_broker_workers_read_the_store(tmp_path: Path) -> None:
    addresses = Addresses(ADMIN, "redis://localhost", None, 8000, 8001)

    environment = environment_of("worker", Home(tmp_path), addresses, ADMIN)

    assert environment["HARBOR_WORKER__SOURCE"] == "store"
    assert "HARBOR_KAFKA__BOOTSTRAP_SERVERS" not in environment


def test_no_process_gets_the_administrators_password(tmp_path: Path) -> None:
    addresses = Addresses(ADMIN, "redis://localhost", "127.0.0.1:9092", 8000, 8001)
    url = role_url(ADMIN, "harbor_worker_login", "worker-password")

    environment = environment_of("relay", Home(tmp_path), addresses, url)

    assert not [name for name, value in environment.items() if "secret@" in value]


def test_listed_hosts_do_not_shut_out_the_stack_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = Addresses(ADMIN, "redis://localhost", None, 8000, 8001)

    monkeypatch.setenv(HOSTS, "api.harbor.test")
    assert environment_of("command_api", Home(tmp_path), addresses, ADMIN)[HOSTS] == "api.harbor.test,127.0.0.1"
    monkeypatch.setenv(HOSTS, "")
    assert environment_of("command_api", Home(tmp_path), addresses, ADMIN)[HOSTS] == ""


@pytest.mark.parametrize("has_docs", [True, False])
def test_up_names_the_api_pages_where_there_are_some(tmp_path: Path, has_docs: bool) -> None:
    versions = dict.fromkeys(("postgres", "kafka", "valkey"), "external")
    lines = table(Home(tmp_path), Addresses(ADMIN, "redis://a", None, 8000, 8001), (), versions, {}, has_docs=has_docs)

    assert ["/docs" in line for line in lines[:2]] == [has_docs, has_docs]
