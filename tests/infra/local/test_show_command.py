"""`python -m infra.local show FACT` gives one fact of the running stack to a script."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.local.__main__ import main

FACTS = {"command_api": "http://127.0.0.1:8000", "kafka": None, "processes": {"relay": {"pid": 7, "restarts": 0}}}


def show(home: Path, fact: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["show", fact], env={"HARBOR_HOME": str(home)})
    return result.exit_code, result.output.strip()


@pytest.mark.parametrize(
    ("fact", "printed"),
    [
        ("command_api", "http://127.0.0.1:8000"),
        ("processes.relay.pid", "7"),
        ("kafka", "null"),
        ("processes.relay", '{"pid": 7, "restarts": 0}'),
    ],
)
def test_a_fact_is_printed_by_its_name(tmp_path: Path, fact: str, printed: str) -> None:
    (tmp_path / "stack.json").write_text(json.dumps(FACTS))
    assert show(tmp_path, fact) == (0, printed)


def test_an_unknown_fact_is_refused_with_those_that_exist(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text(json.dumps(FACTS))
    status, said = show(tmp_path, "api_keys.partner_a")
    assert status == 1
    assert "command_api, kafka, processes" in said


def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path) -> None:
    status, said = show(tmp_path, "command_api")
    assert status == 1
    assert "make up" in said
