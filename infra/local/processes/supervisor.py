"""Keep processes alive: start, restart with backoff when one ends, stop all in good order.

One event loop and one thread: the kernel ends a child when the *thread* that started it is gone (`launch.spawn`).
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from infra import clock
from infra.local.processes.launch import Launch, spawn

BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# A process that ran this long was healthy: the next failure starts from the first delay again.
HEALTHY_AFTER_S = 30.0
READY_POLL_S = 0.05
Say = Callable[[str], None]


class NotReadyError(Exception):
    """A process did not get ready; the message shows the end of its log."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to keep alive.

    Attributes:
        name: as in `stack.json`.
        prepare: makes what it needs and gives the process; called before every start, and may block.
        is_ready: whether it does its work now; called only while somebody waits for that.
        log: file its output is appended to.
        drain_s: seconds between the request to end and SIGKILL.
    """

    name: str
    prepare: Callable[[], Launch]
    is_ready: Callable[[], Awaitable[bool]]
    log: Path
    drain_s: float = 20.0


@dataclass(slots=True)
class Kept:
    """A program under supervision: the process it is at this moment, and how often it was started again."""

    program: Program
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    stop_signal: signal.Signals = signal.SIGTERM
    restarts: int = 0
    failures: int = 0
    last_end: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        """Return the process id; None between an end and the next start."""
        return self.process.pid if self.process else None


def backoff_s(failures: int) -> float:
    """Return the seconds to wait before start number `failures` + 1 in a row."""
    return BACKOFF_S[min(failures, len(BACKOFF_S)) - 1] if failures else 0.0


class Supervisor:
    """Keeps a set of programs alive. `changed` is called after every start and end, for whoever writes that down."""

    def __init__(self, say: Say, changed: Callable[[], None]) -> None:
        self._say = say
        self._changed = changed
        self._stopping = False
        self._kept: dict[str, Kept] = {}

    @property
    def kept(self) -> Mapping[str, Kept]:
        """Return every program under supervision by name."""
        return self._kept

    def keep(self, program: Program) -> None:
        """Start a program and start it again whenever it ends, until `stop`."""
        kept = Kept(program)
        self._kept[program.name] = kept
        kept.task = asyncio.create_task(self._keep(kept), name=f"keep {program.name}")

    async def until_ready(self, name: str, timeout_s: float) -> None:
        """Return when the program does its work.

        Raises:
            NotReadyError: it did not within `timeout_s` seconds, or it ended three times over.
        """
        kept = self._kept[name]
        deadline = clock.monotonic_s() + timeout_s
        while not (kept.process and await kept.program.is_ready()):
            if kept.task and kept.task.done():
                await kept.task  # raises what went wrong while preparing
            if clock.monotonic_s() > deadline or kept.failures >= 3:  # noqa: PLR2004  # as documented
                why = f"ended again and again ({kept.last_end})" if kept.last_end else f"not ready in {timeout_s:g} s"
                raise NotReadyError(
                    f"{name}: {why}. Its log is {kept.program.log} and ends:\n{_tail(kept.program.log)}"
                )
            await asyncio.sleep(READY_POLL_S)

    async def stop(self, names: Iterable[str]) -> None:
        """Ask the named programs to end, all at once, and wait; what does not end in its time is killed."""
        self._stopping = True
        await asyncio.gather(*(self._stop(self._kept[name]) for name in names if name in self._kept))

    def kill_all(self) -> None:
        """End everything without further waiting (a second Ctrl-C)."""
        for kept in self._kept.values():
            if kept.process and kept.process.poll() is None:
                kept.process.kill()

    async def _keep(self, kept: Kept) -> None:
        while not self._stopping:
            began = clock.monotonic_s()
            try:
                await self._run_once(kept)
            except Exception as error:
                # The first start's failure is for `until_ready` to tell; later ones may pass (a full disk, a port).
                if not kept.last_end:
                    raise
                kept.last_end = f"cannot be started: {error}"
            if self._stopping:
                return
            kept.failures = 1 if clock.monotonic_s() - began > HEALTHY_AFTER_S else kept.failures + 1
            delay_s = backoff_s(kept.failures)
            self._say(f"{kept.program.name} ended ({kept.last_end}); starting it again in {delay_s:g} s")
            self._changed()
            await asyncio.sleep(delay_s)
            kept.restarts += 1

    async def _run_once(self, kept: Kept) -> None:
        launch = await asyncio.to_thread(kept.program.prepare)
        if self._stopping:
            return
        kept.stop_signal = launch.stop_signal
        kept.process = spawn(launch, kept.program.log)
        kept.started = _started(kept.process.pid)
        self._changed()
        code = await exit_of(kept.process)
        if not self._stopping:  # else `_stop` is waiting for it too
            kept.process = None
        kept.last_end = _how(code)

    async def _stop(self, kept: Kept) -> None:
        process = kept.process
        if process and process.poll() is None:
            process.send_signal(kept.stop_signal)
            try:
                async with asyncio.timeout(kept.program.drain_s):
                    await exit_of(process)
            except TimeoutError:
                self._say(f"{kept.program.name} did not end within {kept.program.drain_s:g} s; killed")
                process.kill()
                await exit_of(process)
        if kept.task:
            kept.task.cancel()  # it may be waiting for its backoff
            await asyncio.gather(kept.task, return_exceptions=True)
        kept.process = None


async def exit_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process to end and give its exit code, negative for a signal, without a thread or a busy loop."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, or an old or confined kernel
        while process.poll() is None:  # noqa: ASYNC110  # nothing would set an event
            await asyncio.sleep(0.2)
        return process.wait()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return process.wait()


def _started(pid: int) -> float:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def _how(code: int) -> str:
    return f"exit {code}" if code >= 0 else signal.Signals(-code).name


def _tail(log: Path, lines: int = 12) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(empty)"
