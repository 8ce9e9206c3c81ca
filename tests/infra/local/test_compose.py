"""docker-compose.yml runs the same system: held against the code, because no engine runs in these tests."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import pytest
import yaml
from click import Context, Group

from infra.local import env_example, stack
from infra.postgres.login_roles import LOGIN_ROLES
from infra.settings import ALL_SETTINGS, SecuritySettings
from projections.__main__ import main as projections_main

CHECKOUT = Path(__file__).parents[3]
Service: TypeAlias = dict[str, object]
SERVERS = {"postgres", "redis", "kafka"}
JOBS = {"migrate", "logins", "topics"}
KNOWN = {f"{kind.model_config.get('env_prefix')}{name.upper()}" for kind in ALL_SETTINGS for name in kind.model_fields}
# Root inside a container is root's reach when something breaks out of it.
USERS = {"postgres": "postgres", "redis": "valkey", "kafka": "appuser"}


def services() -> dict[str, Service]:
    document = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
    found: dict[str, Service] = document["services"]
    return found


def environment(service: Service) -> Mapping[str, str]:
    found = service.get("environment", {})
    assert isinstance(found, dict)
    return found


def command(service: Service) -> list[str]:
    found = service["command"]
    assert isinstance(found, list)
    return found


def test_every_process_of_the_local_stack_has_its_container() -> None:
    assert services().keys() == SERVERS | JOBS | stack.SERVICES.keys()


@pytest.mark.parametrize("name", sorted(stack.SERVICES))
def test_a_container_runs_what_the_local_stack_runs_with_the_same_role(name: str) -> None:
    service = services()[name]
    arguments, role = stack.SERVICES[name]

    assert command(service) == ["python", "-m", *arguments]
    assert environment(service)["HARBOR_POSTGRES__URL"].startswith(f"postgresql://{role}:${{")


@pytest.mark.parametrize("name", sorted(JOBS | stack.SERVICES.keys()))
def test_every_module_that_is_started_exists(name: str) -> None:
    module = command(services()[name])[2]

    spec = find_spec(module)

    assert spec
    assert spec.submodule_search_locations is None or find_spec(f"{module}.__main__")


@pytest.mark.parametrize("name", sorted(services()))
def test_neither_the_log_nor_the_memory_of_a_container_grows_without_bound(name: str) -> None:
    service = services()[name]

    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "50m", "max-file": "5"}}
    assert service["mem_limit"]


def test_a_health_check_starts_no_java() -> None:
    checks = [str(service.get("healthcheck")) for service in services().values()]

    assert not [check for check in checks if "kafka" in check or "java" in check]


def test_the_roles_of_the_workers_exist() -> None:
    assert isinstance(projections_main, Group)
    roles = {command(services()[name])[3] for name in ("worker", "webhooks")}

    assert roles <= set(projections_main.list_commands(Context(projections_main)))


def test_every_variable_given_to_our_processes_is_a_setting() -> None:
    given = {
        (name, variable)
        for name, service in services().items()
        if name not in SERVERS
        for variable in environment(service)
    }

    assert {variable for _name, variable in given} <= KNOWN


def test_every_variable_taken_from_the_env_file_is_in_its_example() -> None:
    taken = set(re.findall(r"\$\{(\w+):\?", (CHECKOUT / "docker-compose.yml").read_text()))
    offered = set(re.findall(r"^(\w+)=$", (CHECKOUT / ".env.example").read_text(), re.MULTILINE))

    assert taken == offered


def test_everything_that_stays_up_is_checked_and_restarted() -> None:
    staying = {name: service for name, service in services().items() if name not in JOBS}

    assert [name for name, service in staying.items() if "healthcheck" not in service] == []
    assert {service["restart"] for service in staying.values()} == {"unless-stopped"}


def test_jobs_run_once_and_every_process_waits_for_them() -> None:
    assert {services()[name]["restart"] for name in JOBS} == {"no"}
    for name in stack.SERVICES:
        waits = services()[name]["depends_on"]
        assert isinstance(waits, dict)
        assert {job: waits[job]["condition"] for job in ("logins", "topics")} == {
            "logins": "service_completed_successfully",
            "topics": "service_completed_successfully",
        }


def test_nothing_runs_as_root() -> None:
    users = {name: service.get("user") for name, service in services().items()}
    dockerfile = (CHECKOUT / "infra/docker/Dockerfile").read_text()

    assert users == dict.fromkeys(JOBS | stack.SERVICES.keys(), "harbor") | USERS
    assert re.search(r"^USER harbor$", dockerfile, re.MULTILINE)


def test_only_the_jobs_get_the_administrators_password() -> None:
    holders = {name for name, service in services().items() if "HARBOR_ADMIN_PASSWORD" in str(environment(service))}

    assert holders == {"postgres", "migrate", "logins"}


def test_every_login_role_gets_its_password() -> None:
    passwords = [name for name in environment(services()["logins"]) if name.startswith("HARBOR_LOGIN__")]

    assert len(passwords) == len(LOGIN_ROLES)


def test_the_image_copies_every_package_and_the_pinned_requirements() -> None:
    dockerfile = (CHECKOUT / "infra/docker/Dockerfile").read_text()
    ignored = (CHECKOUT / ".dockerignore").read_text().splitlines()

    for package in ("domain", "infra", "projections", "command_api", "query_api"):
        assert f"COPY {package} {package}" in dockerfile
        assert f"!{package}" in ignored
    assert "--require-hashes" in dockerfile
    assert (CHECKOUT / "requirements/runtime.txt").exists()


def test_the_env_example_is_what_the_settings_say() -> None:
    assert (CHECKOUT / ".env.example").read_text() == env_example.text()


def test_generated_secrets_are_accepted_by_the_settings() -> None:
    lines = dict(re.findall(r"^(\w+)=(.+)$", env_example.text(with_secrets=True), re.MULTILINE))
    prefix = "HARBOR_SECURITY__"
    values = {name.removeprefix(prefix).lower(): value for name, value in lines.items() if name.startswith(prefix)}

    assert SecuritySettings.model_validate(values).api_key_pepper.get_secret_value() == values["api_key_pepper"]
