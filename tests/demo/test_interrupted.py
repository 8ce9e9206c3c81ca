"""Where no stack runs, `make demo` starts one and removes all of it again, also when it is interrupted."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from infra.local.home import CHECKOUT

# The stack brings its own servers, so no fixture marks it.
pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]


def processes_below(directory: Path) -> list[str]:
    """Return the command lines of all processes that work for a stack below this directory."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.environ().get("HARBOR_HOME", "")]
        except psutil.Error:
            continue
        if any(str(directory) in word for word in words):
            found.append(" ".join(words))
    return found


@pytest.mark.parametrize(
    ("moment", "number"), [("starting PostgreSQL", signal.SIGTERM), ("100000 orders to", signal.SIGINT)]
)
def test_an_interrupted_demo_leaves_no_process_and_no_file(tmp_path: Path, moment: str, number: int) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HARBOR_")}
    own = {"HARBOR_HOME": str(tmp_path / "none"), "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.demo", "--orders", "100000"],
        cwd=CHECKOUT,
        env=inherited | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509  # a job in the background
    ) as demo:
        assert demo.stdout is not None
        reached = next((line for line in demo.stdout if moment in line), None)
        assert reached is not None, f"it ended before {moment!r}"

        os.killpg(demo.pid, number)  # as a terminal does

        rest = demo.stdout.read()

    assert demo.returncode == 2, rest
    assert "demo: interrupted" in rest
    assert processes_below(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
