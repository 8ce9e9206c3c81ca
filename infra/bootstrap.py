"""Make `.venv` from the hash-pinned requirements; called by the Makefile, with the standard library alone.

Usage: python3 infra/bootstrap.py REQUIREMENTS_FILE
"""

import re
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
VENV = CHECKOUT / ".venv"
MINIMUM = (3, 11)


def main(requirements: Path) -> int:
    """Create the environment and install into it, one progress line per package; return the exit status."""
    if sys.version_info < MINIMUM:
        print(f"Python {sys.version.split()[0]} is too old: Harbor Orders needs 3.11 or newer.")
        print("Install one and run: make PYTHON=python3.11 <target>")
        return 1
    if VENV.is_symlink():
        print(".venv is a link; creating it again would empty its target. Remove the link and run make again.")
        return 1
    started = time.monotonic()
    wanted = len(re.findall(r"^[a-zA-Z0-9].*==", requirements.read_text(), flags=re.MULTILINE))
    print(f"Installing {wanted} pinned packages into .venv (once; about a minute) ...", flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=False)  # noqa: S603  # fixed words
    if made.returncode:
        print("Could not make .venv. On Debian and Ubuntu: apt install python3-venv; then run make again.")
        return 1
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--require-hashes", "--no-input"]
    command += ["--disable-pip-version-check", "-r", str(requirements)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:  # noqa: S603  # fixed words
        output = _follow(pip, wanted)
    if pip.returncode:
        print("".join(output[-15:]))
        print("Installation failed (see above). Check the network and run make again; it starts over.")
        return 1
    (VENV / "stamp").write_text(requirements.read_text())
    print(f"Installed in {time.monotonic() - started:.0f} s.", flush=True)
    return 0


def _follow(pip: "subprocess.Popen[str]", wanted: int) -> list[str]:
    """Read pip's output to its end; show a counter as packages are collected."""
    output: list[str] = []
    collected = 0
    terminal = sys.stdout.isatty()
    for line in pip.stdout or ():
        output.append(line)
        if line.startswith("Collecting "):
            collected += 1
            if terminal:
                print(f"\r  {min(collected, wanted)}/{wanted} {line.split()[1]:<60.60}", end="", flush=True)
            elif collected % 20 == 0:
                print(f"  {min(collected, wanted)}/{wanted} packages collected", flush=True)
        elif line.startswith("Installing collected"):
            print(("\r" if terminal else "") + f"  {'unpacking ...':<70}", flush=True)
    return output


if __name__ == "__main__":
    sys.exit(main(CHECKOUT / sys.argv[1]))
