"""Which stacks run from a checkout, in whatever home: its .venv holds their programs."""

from pathlib import Path

import psutil

from infra.local.home import Home

_SUPERVISOR = ["-m", "infra.local", "up"]


def stacks_of(checkout: Path, *, besides: Home) -> list[str]:
    """Return one text per stack that runs from the checkout in another home: where it is, and what stops it."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cmdline()[1:4] == _SUPERVISOR and Path(process.cwd()) == checkout:
                found.append(_told(process.environ().get("HARBOR_HOME", ""), Path(process.cwd()), besides))
        except psutil.Error:
            continue
    return sorted({each for each in found if each})


def _told(named: str, directory: Path, besides: Home) -> str:
    path = (directory / Path(named).expanduser()).resolve()
    return f"in {path}: stop it with HARBOR_HOME={path} make down" if named and path != besides.path else ""
