"""One process to start: what to run, as whom, and which signal asks it to end. Nothing here waits or restarts."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.directories import Account

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_ASKS_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@dataclass(frozen=True, slots=True)
class Launch:
    """A process as data.

    Attributes:
        argv: program and arguments.
        env: the whole environment; nothing is inherited.
        cwd: working directory.
        account: who it runs as; None: as this process.
        stop_signal: asks it to end cleanly; the kernel sends it too if the starter dies first.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM


def spawn(launch: Launch, output: Path) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, and append its output to a file.

    The session keeps the terminal's Ctrl-C away, so that the starter stops everything in order. Call this from a thread
    that lives as long as the starter, because the kernel watches the starting *thread*.

    Raises:
        OSError: the program cannot be started.
    """
    starter = os.getpid()

    def prepare() -> None:
        # A shell starts background jobs with SIGINT ignored, and an ignored or blocked signal is inherited.
        for number in _ASKS_TO_END:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ASKS_TO_END)
        if hasattr(signal, "pidfd_send_signal"):  # Linux; elsewhere the next `up` or `down` cleans up
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(launch.stop_signal))
        if os.getppid() != starter:
            os._exit(1)

    account = launch.account
    with output.open("ab") as log:
        return subprocess.Popen(
            launch.argv,
            env=dict(launch.env),
            cwd=launch.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509  # the starter has one thread here
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
