"""Control a stack from outside: start it in the background, stop it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from infra import clock
from infra.local.errors import AlreadyRunsError, LocalError
from infra.local.home import CHECKOUT, LOOKS, Home
from infra.local.processes import orphans
from infra.local.processes.interrupts import undisturbed
from infra.local.processes.supervisor import Say

_POLL_S = 0.1
_STOP_S = 90.0


def start(home: Home, arguments: Sequence[str], say: Say) -> int:
    """Start a supervisor in the background, show what it says until everything is ready, and return the exit status.

    1: it could not start, or is not ready yet and said who waits for what; then it keeps running.

    Raises:
        AlreadyRunsError: a stack runs in this home.
    """
    with home.held(LOOKS):  # only to fail early: the new process takes the lock for itself
        home.stack_file.unlink(missing_ok=True)
    log = home.log_file("up")
    with log.open("ab") as output:
        begin = output.tell()  # another start at this moment may write there too
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.local", *arguments],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return _follow(process, home, log, begin, say)
    except KeyboardInterrupt:
        with undisturbed():
            process.terminate()
            process.wait(_STOP_S)
        return 130


def _follow(process: subprocess.Popen[bytes], home: Home, log: Path, begin: int, say: Say) -> int:
    with log.open(errors="replace") as lines:
        lines.seek(begin)
        while True:
            is_over = process.poll() is not None
            state = _state(home)  # before the lines: what comes before it has been said
            for line in lines.read().splitlines():
                say(line)
            if is_over:
                return process.returncode or 1
            if state in {"ready", "waiting"}:
                return 0 if state == "ready" else 1
            time.sleep(_POLL_S)


def _state(home: Home) -> object:
    try:
        return json.loads(home.stack_file.read_text()).get("state")
    except (OSError, ValueError):
        return None


def await_stop(home: Home, say: Say) -> None:
    """Return when nothing is being stopped in this home."""
    if _state(home) != "stopping" or orphans.supervisor_of(home.run_file) is None:
        return
    say(f"waiting until what runs in {home.path} has stopped")
    deadline = clock.monotonic_s() + _STOP_S
    while clock.monotonic_s() < deadline and _state(home) == "stopping":
        time.sleep(_POLL_S)


def stop(home: Home) -> None:
    """Ask the supervisor of this home to drain and stop, and return when none of its processes is left.

    Raises:
        LocalError: a supervisor holds the home and cannot be found.
    """
    supervisor = _supervisor(home)
    supervisor.send_signal(signal.SIGTERM)
    try:
        supervisor.wait(_STOP_S)
    except psutil.TimeoutExpired:
        supervisor.kill()
        supervisor.wait(_STOP_S)
    with suppress(AlreadyRunsError), home.held():  # somebody may have started it again: these are not ours to end
        orphans.end_orphans(home.run_file)
        home.stack_file.unlink(missing_ok=True)


def _supervisor(home: Home) -> psutil.Process:
    # A supervisor that has just started holds the home a moment before it writes its process id.
    deadline = clock.monotonic_s() + 5.0
    while clock.monotonic_s() < deadline:
        found = orphans.supervisor_of(home.run_file)
        if found:
            return found
        time.sleep(_POLL_S)
    raise LocalError(f"{home.path} is held by a process that cannot be found: another account's, or another machine's?")
