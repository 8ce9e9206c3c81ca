"""Find and end what a killed supervisor left: by process id *and* start time, never by name. Find other stacks."""

import contextlib
import json
import signal
from collections.abc import Mapping
from pathlib import Path

import psutil

from infra.local.home import Home, Json, write_private
from infra.local.processes.supervisor import Supervised

_END_S = 15.0
_SUPERVISOR = ["-m", "infra.local", "up"]


def write_run_file(path: Path, supervised: Mapping[str, Supervised]) -> None:
    """Write down the supervisor and every running process, for `end_orphans` and `down`."""
    children: Json = {
        name: {"pid": each.pid, "started": each.started, "stop_signal": int(each.stop_signal)}
        for name, each in supervised.items()
        if each.pid is not None
    }
    own = psutil.Process()
    write_private(path, {"supervisor": {"pid": own.pid, "started": own.create_time()}, "children": children})


def supervisor_of(path: Path) -> psutil.Process | None:
    """Return the supervisor that wrote the run file, if it still lives."""
    return _find(_read(path).get("supervisor"))


def end_orphans(path: Path) -> list[str]:
    """End the processes of a run file whose supervisor is dead; return the names of those that still lived."""
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


def stacks_of(checkout: Path, *, besides: Home) -> list[str]:
    """Return one text per stack that runs from the checkout in another home: where it is, and what stops it."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cmdline()[1:4] == _SUPERVISOR and Path(process.cwd()) == checkout:
                named = process.environ().get("HARBOR_HOME", "")
                path = (checkout / Path(named).expanduser()).resolve()
                if named and path != besides.path:
                    found.add(f"in {path}: stop it with HARBOR_HOME={path} make down")
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
        # The id alone may belong to another process by now.
        if abs(process.create_time() - entry["started"]) < 0.5 and process.status() != psutil.STATUS_ZOMBIE:  # noqa: PLR2004
            return process
    except (psutil.Error, KeyError, TypeError, ValueError):
        pass
    return None


def _signal(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
