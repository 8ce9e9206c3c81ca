"""Find and end what a supervisor left behind that was killed: by process id *and* start time, never by name."""

import contextlib
import json
import signal
from collections.abc import Mapping
from pathlib import Path

import psutil

from infra.local.home import Json, write_private
from infra.local.processes.supervisor import Kept

_END_S = 15.0


def write_run_file(path: Path, kept: Mapping[str, Kept]) -> None:
    """Write down every running process and the supervisor, for `end_leftovers` and `down`."""
    children: Json = {
        name: {"pid": each.pid, "started": each.started, "stop_signal": int(each.stop_signal)}
        for name, each in kept.items()
        if each.pid is not None
    }
    own = psutil.Process()
    write_private(path, {"supervisor": {"pid": own.pid, "started": own.create_time()}, "children": children})


def supervisor_of(path: Path) -> psutil.Process | None:
    """Return the supervisor that wrote the run file, if it still lives."""
    return _find(_read(path).get("supervisor"))


def end_leftovers(path: Path) -> list[str]:
    """End the processes of a run file whose supervisor is gone; give the names of those that still lived."""
    children = _read(path).get("children")
    found: dict[str, psutil.Process] = {}
    for name, entry in children.items() if isinstance(children, dict) else ():
        process = _find(entry)
        if process:
            found[name] = process
            _signal(process, entry.get("stop_signal", signal.SIGTERM))
    _gone, alive = psutil.wait_procs(list(found.values()), timeout=_END_S)
    for process in alive:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=_END_S)
    path.unlink(missing_ok=True)
    return sorted(found)


def _read(path: Path) -> Json:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _find(entry: object) -> psutil.Process | None:
    if not isinstance(entry, dict):
        return None
    try:
        process = psutil.Process(entry["pid"])
        # The id alone could belong to somebody else by now.
        if abs(process.create_time() - entry["started"]) < 0.5 and process.status() != psutil.STATUS_ZOMBIE:  # noqa: PLR2004
            return process
    except (psutil.Error, KeyError, TypeError, ValueError):
        pass
    return None


def _signal(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
