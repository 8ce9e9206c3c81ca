"""`python -m infra.local show` and `run`: facts and commands of the running stack, for scripts and operators."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.local.__main__ import main
from infra.local.addresses import environment_for
from infra.local.errors import LocalError
from infra.local.home import Home, Json, make_command
from infra.local.running import secrets_of_stack

FACTS: Json = {
    "command_api": "http://127.0.0.1:8100",
    "query_api": "http://127.0.0.1:8101",
    "postgres": "postgresql://postgres:admin@127.0.0.1:5433/harbor",
    "redis": "redis://127.0.0.1:6380/0",
    "kafka": "127.0.0.1:9093",
    "processes": {"relay": {"pid": 7, "restarts": 0}},
}


def run(home: Path, *command: str) -> tuple[int, str]:
    ended = CliRunner().invoke(main, command, env={"HARBOR_HOME": str(home)})
    return ended.exit_code, ended.output.strip()


@pytest.mark.parametrize(
    ("module", "role"),
    [
        ("command_api", "harbor_command_login"),
        ("query_api", "harbor_query_login"),
        ("projections", "harbor_worker_login"),
    ],
)
def test_a_command_by_hand_has_the_login_pepper_and_broker_of_its_service(
    tmp_path: Path, module: str, role: str
) -> None:
    home = Home(tmp_path)

    environment = environment_for(module, home, FACTS)

    assert environment["HARBOR_POSTGRES__URL"] == f"postgresql://{role}:{home.password(role)}@127.0.0.1:5433/harbor"
    assert environment["HARBOR_SECURITY__API_KEY_PEPPER"] == home.secret("api_key_pepper")
    assert environment["HARBOR_KAFKA__BOOTSTRAP_SERVERS"] == "127.0.0.1:9093"
    assert environment["HARBOR_OPS__PORT"] == "0", "any free port for its own metrics"


def test_without_a_broker_a_worker_by_hand_reads_the_store(tmp_path: Path) -> None:
    environment = environment_for("projections", Home(tmp_path), FACTS | {"kafka": None})

    assert environment["HARBOR_WORKER__SOURCE"] == "store"


def test_facts_of_another_version_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="make down"):
        environment_for("projections", Home(tmp_path), {"command_api": "http://127.0.0.1:8000"})


def test_a_damaged_home_is_one_message_without_a_trace(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text(json.dumps(FACTS))
    (tmp_path / "home.json").write_text("{")

    status, output = run(tmp_path, "run", "projections")

    assert status == 1
    assert output.startswith(str(tmp_path / "home.json"))
    assert "restore it" in output


@pytest.mark.parametrize(
    ("fact", "printed"),
    [
        ("command_api", "http://127.0.0.1:8100"),
        ("processes.relay.pid", "7"),
        ("processes.relay", '{"pid": 7, "restarts": 0}'),
    ],
)
def test_a_fact_is_printed_by_its_name(tmp_path: Path, fact: str, printed: str) -> None:
    (tmp_path / "stack.json").write_text(json.dumps(FACTS))
    assert run(tmp_path, "show", fact) == (0, printed)


def test_an_unknown_fact_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text(json.dumps(FACTS | {"kafka": None}))
    assert run(tmp_path, "show", "kafka") == (0, "null")
    status, output = run(tmp_path, "show", "api_keys.partner_a")
    assert status == 1
    assert "redis, kafka, processes" in output


@pytest.mark.parametrize("command", [["status"], ["show", "kafka"], ["run", "projections", "--help"]])
def test_without_a_stack_it_says_how_to_start_one_in_this_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    home = tmp_path / "a second"

    assert run(home, *command) == (1, f"nothing runs in {home}: HARBOR_HOME='{home}' make up")

    monkeypatch.delenv("HARBOR_HOME", raising=False)
    assert make_command("down") == "make down"


@pytest.mark.parametrize("command", [("infra.relay", "verify"), ("infra.relay", "refill"), ("infra.kafka", "topics")])
def test_a_command_about_the_topic_says_how_a_stack_without_a_broker_gets_one(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    home = Home(tmp_path)
    home.save()
    home.stack_file.write_text(json.dumps(FACTS | {"kafka": None}))

    code, said = run(tmp_path, "run", *command)

    assert code == 1
    assert said == (
        f"this stack runs without a broker: `HARBOR_HOME={tmp_path} make down`, "
        f"then `HARBOR_HOME={tmp_path} make up BROKER=kafka`"
    )


def test_a_command_by_hand_has_the_secrets_of_the_stack_and_not_of_this_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    monkeypatch.setenv("HARBOR_SECURITY__API_KEY_PEPPER", "of this shell alone, which the stack never had")

    secrets = secrets_of_stack(home)

    assert secrets["HARBOR_SECURITY__API_KEY_PEPPER"] == home.secret("api_key_pepper")
