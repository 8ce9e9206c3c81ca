"""What a killed supervisor left is found by process id and start time, and nothing else is touched."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.local.processes.orphans import end_orphans, supervisor_of


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["/bin/sleep", "600"])
    yield process
    process.kill()
    process.wait()


def write_run_file(path: Path, pid: int, started: float) -> None:
    entry = {"pid": pid, "started": started, "stop_signal": 15}
    path.write_text(json.dumps({"supervisor": entry, "children": {"kafka": entry}}))


def test_a_surviving_child_is_ended(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    run_file = tmp_path / "run.json"
    write_run_file(run_file, sleeper.pid, psutil.Process(sleeper.pid).create_time())

    assert end_orphans(run_file) == ["kafka"]
    assert not psutil.pid_exists(sleeper.pid)
    assert not run_file.exists()


def test_a_stranger_with_the_same_id_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    run_file = tmp_path / "run.json"
    write_run_file(run_file, sleeper.pid, psutil.Process(sleeper.pid).create_time() - 60)

    assert supervisor_of(run_file) is None
    assert end_orphans(run_file) == []
    assert sleeper.poll() is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"children": {"kafka": {"pid": "x"}}}', '{"children": [1]}'])
def test_a_damaged_run_file_ends_nothing(tmp_path: Path, content: str) -> None:
    run_file = tmp_path / "run.json"
    run_file.write_text(content)

    assert supervisor_of(run_file) is None
    assert end_orphans(run_file) == []
