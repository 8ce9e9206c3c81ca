"""A variable that nothing reads is named at the start, with the one that was meant."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.settings_names import known_names, mistyped
from tests.support.services.system import clean_environment

CHECKOUT = Path(__file__).parents[2]
NAME = re.compile(r"\bHARBOR_[A-Z0-9]+(?:_+[A-Z0-9]+)*\b")


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("HARBOR_POSTGRES_URL", "HARBOR_POSTGRES__URL"),
        ("HARBOR_COMAND_API__PORT", "HARBOR_COMMAND_API__PORT"),
        ("HARBOUR_RELAY__BATCH", "HARBOR_RELAY__BATCH"),
        ("HABOR_RELAY__BATCH", "HARBOR_RELAY__BATCH"),
        ("harbor_relay__bach", "HARBOR_RELAY__BATCH"),
    ],
)
def test_a_mistyped_variable_is_named_with_the_one_that_was_meant_and_without_its_value(
    variable: str, meant: str
) -> None:
    assert mistyped({variable: "canary"}) == [f"{variable} is not a setting and changes nothing: did you mean {meant}?"]


def test_without_a_near_name_it_says_where_all_of_them_are() -> None:
    assert mistyped({"HARBOR_XYZZY": "1"}) == [
        "HARBOR_XYZZY is not a setting and changes nothing (all settings: docs/settings.md)"
    ]


@pytest.mark.parametrize(
    "variable",
    [
        "HARBOR_HOME",
        "harbor_relay__batch",
        "HARBOR_LOGIN__QUERY_PASSWORD",  # another process of the installation reads it
        "HARBOR_COMMAND_API_SERVICE_HOST",
        "HARBOR_COMMAND_API_PORT_8000_TCP_ADDR",
        "HARBOR_COMMAND_API_PORT",
        "PATH",
        "OTHER__NAME",
    ],
)
def test_what_is_a_setting_or_somebody_elses_is_not_named(variable: str) -> None:
    assert mistyped({variable: "tcp://10.0.0.1:8000"}) == []


def test_every_variable_that_the_code_and_its_documents_name_is_known() -> None:
    places = [CHECKOUT / name for name in ("README.md", "docker-compose.yml", ".env.example", "Makefile")]
    for folder in ("command_api", "query_api", "projections", "infra", "examples", "docs/guides"):
        places += [path for path in (CHECKOUT / folder).rglob("*") if path.suffix in {".py", ".md"}]
    named = {name for path in places for name in NAME.findall(path.read_text())}

    assert {name for name in named if name not in known_names()} - {"HARBOR_COMMAND_API", "HARBOR_QUERY_API"} == set()


COMMANDS = [
    ("infra.relay", "verify"),
    ("infra.relay", "refill"),
    ("infra.kafka", "topics"),
    ("infra.postgres.migrate",),
    ("infra.postgres.login_roles",),
    ("projections", "verify", "orders"),
    ("projections", "dlq", "list"),
    ("command_api", "keys", "list"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_of_an_operator_warns_of_a_mistyped_variable(command: tuple[str, ...]) -> None:
    environment = clean_environment() | {"HARBOR_POSTGRES__URLL": "x"}

    ended = subprocess.run(  # noqa: S603  # fixed words
        [sys.executable, "-m", *command],
        env=environment,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode != 0, "it has no database"
    assert (
        "HARBOR_POSTGRES__URLL is not a setting and changes nothing: did you mean HARBOR_POSTGRES__URL?" in ended.stderr
    )
