"""`python -m infra.local run`: a command by hand has the login and the settings of the stack it acts on."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.local.__main__ import main
from infra.local.home import Home, HomeError, Json, make_command
from infra.local.operate import environment_for

FACTS: Json = {
    "command_api": "http://127.0.0.1:8100",
    "query_api": "http://127.0.0.1:8101",
    "postgres": "postgresql://postgres:admin@127.0.0.1:5433/harbor",
    "redis": "redis://127.0.0.1:6380/0",
    "kafka": "127.0.0.1:9093",
}


@pytest.mark.parametrize(
    ("module", "role"), [("command_api", "harbor_command_login"), ("projections", "harbor_worker_login")]
)
def test_each_module_logs_in_as_its_service_does(tmp_path: Path, module: str, role: str) -> None:
    home = Home(tmp_path)
    password = home.password(role)

    environment = environment_for(module, home, FACTS)

    assert environment["HARBOR_POSTGRES__URL"] == f"postgresql://{role}:{password}@127.0.0.1:5433/harbor"


def test_keys_are_made_with_the_pepper_that_the_services_check(tmp_path: Path) -> None:
    home = Home(tmp_path)

    environment = environment_for("command_api", home, FACTS)

    assert environment["HARBOR_SECURITY__API_KEY_PEPPER"] == home.secret("api_key_pepper")


def test_a_worker_by_hand_reads_what_the_stack_reads(tmp_path: Path) -> None:
    home = Home(tmp_path)

    with_broker = environment_for("projections", home, FACTS)
    without = environment_for("projections", home, FACTS | {"kafka": None})

    assert with_broker["HARBOR_KAFKA__BOOTSTRAP_SERVERS"] == "127.0.0.1:9093"
    assert without["HARBOR_WORKER__SOURCE"] == "store"


def test_it_takes_any_free_port_for_its_own_metrics(tmp_path: Path) -> None:
    assert environment_for("projections", Home(tmp_path), FACTS)["HARBOR_OPS__PORT"] == "0"


def test_facts_of_another_version_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="make down"):
        environment_for("projections", Home(tmp_path), {"command_api": "http://127.0.0.1:8000"})


def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path) -> None:
    ran = CliRunner().invoke(
        main, ["run", "projections", "verify", "orders", "--help"], env={"HARBOR_HOME": str(tmp_path)}
    )

    assert ran.exit_code == 1
    assert "make up" in ran.output


def test_a_damaged_home_is_told_and_not_shown_as_a_trace(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text(json.dumps(FACTS))
    (tmp_path / "home.json").write_text("{")

    ran = CliRunner().invoke(main, ["run", "projections"], env={"HARBOR_HOME": str(tmp_path)})

    assert ran.exit_code == 1
    assert "restore it" in ran.output


@pytest.mark.parametrize("command", [["status"], ["show", "kafka"], ["run", "projections"]])
def test_what_to_type_next_is_for_the_home_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    home = tmp_path / "a second"
    told = CliRunner().invoke(main, command, env={"HARBOR_HOME": str(home)}).output
    monkeypatch.delenv("HARBOR_HOME", raising=False)

    assert f"nothing runs in {home}: HARBOR_HOME='{home}' make up" in told
    assert make_command("down") == "make down"
