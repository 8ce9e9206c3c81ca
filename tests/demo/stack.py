"""Which stack the demo talks to: the one that runs, or one of its own."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.local.home import make_command
from infra.local.processes.interrupts import undisturbed
from infra.settings import KafkaSettings

CHECKOUT = Path(__file__).resolve().parents[2]
PARTNER = "partner_b"
"""Not partner_a, whose webhooks a person may be watching."""
LIVE_TIMEOUT_S = 20.0
START_TIMEOUT_S = 300
STOP_TIMEOUT_S = 100


@dataclass(frozen=True, slots=True)
class Stack:
    """Addresses of a running stack; `kafka` is None where it runs without a broker."""

    command_api: str
    query_api: str
    postgres: str
    kafka: str | None
    topic: str
    api_key: str

    @property
    def authorization(self) -> dict[str, str]:
        """Return the header of the API key."""
        return {"Authorization": f"Bearer {self.api_key}"}


class NoStackError(Exception):
    """No stack runs and none could be started; the message says why."""


def home() -> Path:
    """Return the home of the stack: $HARBOR_HOME or `.harbor` in the checkout."""
    return Path(os.environ.get("HARBOR_HOME") or CHECKOUT / ".harbor")


def running(home: Path) -> Stack | None:
    """Read `stack.json`; None when there is none or when nothing answers at its address."""
    try:
        facts = json.loads((home / "stack.json").read_text())
        with urllib.request.urlopen(f"{facts['command_api']}/livez", timeout=LIVE_TIMEOUT_S):  # noqa: S310  # our own http address
            pass
    except (OSError, ValueError):
        return None
    return Stack(
        facts["command_api"].rstrip("/"),
        facts["query_api"].rstrip("/"),
        facts["postgres"],
        facts["kafka"],
        f"{KafkaSettings().topic_prefix}orders.events.v1",
        facts["api_keys"][PARTNER],
    )


@contextmanager
def stack() -> Iterator[Stack]:
    """Return the running stack, or start one in a temporary home and stop it afterwards.

    Raises:
        NoStackError: it did not start.
    """
    found = running(home())
    if found is not None:
        yield found
        return
    print(
        f"No stack runs here: starting one for this demo only. It is stopped, and its data deleted, at the end "
        f"(`{make_command('up')}` starts one that stays).",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="harbor-demo-") as folder:
        environment = os.environ | {
            "HARBOR_HOME": folder,
            "HARBOR_COMMAND_API__PORT": "0",
            "HARBOR_QUERY_API__PORT": "0",
        }
        local = [sys.executable, "-m", "infra.local"]
        try:
            failed = _start([*local, "up", "--detach", "--brief"], environment)
            own = running(Path(folder))
            if failed or own is None:
                raise NoStackError(f"the stack did not start; see the lines above, or run: {make_command('up')}")
            yield own
        finally:
            print("stopping the stack of this demo and deleting its data", flush=True)
            # Not only the folder: as root in a closed directory, PostgreSQL's data lies outside it.
            with undisturbed():
                subprocess.run(  # noqa: S603  # fixed words
                    [*local, "clean"],
                    cwd=CHECKOUT,
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    check=False,
                    start_new_session=True,
                )


def _start(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run `up --detach` to its end; pass an earlier Ctrl-C on and wait until it has stopped what it started."""
    # In its own session, or the terminal's Ctrl-C would end it half-way through.
    process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, start_new_session=True)  # noqa: S603  # fixed words
    try:
        return process.wait(START_TIMEOUT_S)
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_TIMEOUT_S)
        raise
