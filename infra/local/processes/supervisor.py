"""Keep processes alive: start them, restart one that ended, stop all in order.

Nothing else may end that: an error of whoever is told (`say`, `changed`) is dropped, an error of a start is one more
failed start, and a keeper that ends all the same is reported and begins again. A process that ended cleanly starts
again at once; one that failed, after a backoff.

There is one event loop and one thread: the kernel ends a child when the *thread* that started it ends (`launch.spawn`).
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from infra import clock
from infra.local.errors import LocalError
from infra.local.processes.launch import Launch, spawn

BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# A process that ran this long was healthy: after its next failure the delays start from the first again.
HEALTHY_AFTER_S = 30.0
# A clean end after less than this counts as a failure, or a process that ends at once would be started in a tight loop.
SETTLED_AFTER_S = 1.0
# Ends that somebody asked for; a JVM reports the signal as 128 + its number.
_CLEAN_ENDS = frozenset({0, -signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGINT})
READY_POLL_S = 0.05
PROGRESS_S = 10.0
Say = Callable[[str], None]


def print_line(line: str) -> None:
    """Print a line at once, also into a pipe; a terminal that was closed must not stop what is under way."""
    with suppress(OSError, ValueError):
        print(line, flush=True)


@dataclass(frozen=True, slots=True)
class Program:
    """A program to keep alive.

    Attributes:
        name: as in `stack.json`.
        prepare: makes what it needs and returns the process; called before every start, and may block.
        is_ready: whether it serves now; called only while `until_ready` waits.
        log: file that its output is appended to.
        drain_s: seconds between the request to end and SIGKILL.
    """

    name: str
    prepare: Callable[[], Launch]
    is_ready: Callable[[], Awaitable[bool]]
    log: Path
    drain_s: float = 20.0


@dataclass(slots=True)
class Supervised:
    """A program under supervision: its process at this moment, and how often it was started again.

    `failures` counts ends and starts that failed in a row; `start_error` is why there is no process now.
    """

    program: Program
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    began_s: float = 0.0
    stop_signal: signal.Signals = signal.SIGTERM
    restarts: int = 0
    failures: int = 0
    last_end: str = ""
    start_error: Exception | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        """Return the process id; None between an end and the next start."""
        return self.process.pid if self.process else None


def backoff_s(failures: int) -> float:
    """Return the seconds to wait before start number `failures` + 1 in a row."""
    return BACKOFF_S[min(failures, len(BACKOFF_S)) - 1] if failures else 0.0


def failures_after(failures: int, code: int, ran_s: float) -> int:
    """Return the failures in a row after a process that ran for `ran_s` seconds ended with this exit code."""
    if code in _CLEAN_ENDS and ran_s >= SETTLED_AFTER_S:
        return 0
    return 1 if ran_s > HEALTHY_AFTER_S else failures + 1


class Supervisor:
    """Keeps a set of programs alive. `changed` is called after every start and end; neither it nor `say` may block."""

    def __init__(self, say: Say, changed: Callable[[], None]) -> None:
        self._say = say
        self._changed = changed
        self._stopping = False
        self._supervised: dict[str, Supervised] = {}

    @property
    def supervised(self) -> Mapping[str, Supervised]:
        """Return every program under supervision by name."""
        return self._supervised

    def keep(self, program: Program) -> None:
        """Start a program and start it again whenever it ends, until `stop`."""
        self._supervised[program.name] = each = Supervised(program)
        self._begin(each)

    async def until_ready(self, name: str, timeout_s: float) -> None:
        """Wait until the program is ready; say every ten seconds that it is not, with the last line of its log.

        Raises:
            LocalError: its first start failed, it did not get ready in `timeout_s` seconds, or it failed three times;
                the message shows the end of its log.
        """
        each = self._supervised[name]
        began = said = clock.monotonic_s()
        while not (each.process and await each.program.is_ready()):
            if each.start_error and each.restarts == 0:
                raise LocalError(f"{name}: {each.last_end}") from each.start_error
            now = clock.monotonic_s()
            if now - said > PROGRESS_S:
                said = now
                self._tell(f"waiting for {name} ({now - began:.0f} s): {tail(each.program.log, 1)}")
            if now - began > timeout_s or each.failures >= 3:  # noqa: PLR2004  # as documented
                why = f"ended again and again ({each.last_end})" if each.last_end else f"not ready in {timeout_s:g} s"
                raise LocalError(f"{name}: {why}. Its log is {each.program.log} and ends:\n{tail(each.program.log)}")
            await asyncio.sleep(READY_POLL_S)

    async def stop(self, names: Iterable[str]) -> None:
        """Ask the named programs to end, all at once, and wait; kill what does not end in its time."""
        self._stopping = True
        await asyncio.gather(*(self._stop(self._supervised[name]) for name in names if name in self._supervised))

    def kill_all(self) -> None:
        """Kill everything at once (a second Ctrl-C)."""
        for each in self._supervised.values():
            if each.process and each.process.poll() is None:
                each.process.kill()

    def _begin(self, each: Supervised) -> None:
        each.task = asyncio.create_task(self._keep(each), name=f"keep {each.program.name}")
        each.task.add_done_callback(lambda task: self._keep_on(each, task))

    def _keep_on(self, each: Supervised, task: asyncio.Task[None]) -> None:
        """Begin again with a keeper that ended although nobody stopped it."""
        if self._stopping:
            return
        error = None if task.cancelled() else task.exception()
        self._tell(f"ALARM: what keeps {each.program.name} alive ended ({error!r}) and begins again")
        self._begin(each)

    async def _keep(self, each: Supervised) -> None:
        while not self._stopping:
            try:
                if each.process is None:
                    await self._start(each)
                if each.process:
                    await self._until_end(each, each.process)
            except Exception as error:  # noqa: BLE001  # whatever it is, the process must not stay down
                each.start_error = error
                each.failures += 1
                each.last_end = f"cannot be started: {error}"
            if self._stopping:
                return
            delay_s = backoff_s(each.failures)
            when = f"in {delay_s:g} s" if delay_s else "at once"
            self._tell(f"{each.program.name} ended ({each.last_end}); starting it again {when}")
            self._note()
            await asyncio.sleep(delay_s)
            each.restarts += 1

    async def _start(self, each: Supervised) -> None:
        launch = await asyncio.to_thread(each.program.prepare)
        if self._stopping:
            return
        each.stop_signal = launch.stop_signal
        each.process = spawn(launch, each.program.log)
        each.started = _started(each.process.pid)
        each.began_s = clock.monotonic_s()
        each.start_error = None
        self._note()

    async def _until_end(self, each: Supervised, process: subprocess.Popen[bytes]) -> None:
        code = await exit_of(process)
        if not self._stopping:  # else `_stop` is waiting for it too
            each.process = None
        each.last_end = _how(code)
        each.failures = failures_after(each.failures, code, clock.monotonic_s() - each.began_s)

    def _tell(self, line: str) -> None:
        with suppress(Exception):
            self._say(line)

    def _note(self) -> None:
        with suppress(Exception):
            self._changed()

    async def _stop(self, each: Supervised) -> None:
        process = each.process
        if process and process.poll() is None:
            process.send_signal(each.stop_signal)
            try:
                async with asyncio.timeout(each.program.drain_s):
                    await exit_of(process)
            except TimeoutError:
                self._tell(f"{each.program.name} did not end within {each.program.drain_s:g} s; killed")
                process.kill()
                await exit_of(process)
        if each.task:
            each.task.cancel()  # it may be waiting for its backoff
            await asyncio.gather(each.task, return_exceptions=True)
        each.process = None


async def exit_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process to end and return its exit code, negative for a signal, without a thread or a busy loop."""
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


def tail(log: Path, lines: int = 12) -> str:
    """Return the last lines of a log."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(empty)"
