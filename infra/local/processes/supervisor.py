"""Keep processes alive: start them, restart one that ended after a backoff, stop all in order.

There is one event loop and one thread: the kernel ends a child when the *thread* that started it ends (`launch.spawn`).
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
from infra.local.errors import LocalError
from infra.local.processes.launch import Launch, spawn

BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# A process that ran this long was healthy: after its next failure the delays start from the first again.
HEALTHY_AFTER_S = 30.0
READY_POLL_S = 0.05
Say = Callable[[str], None]


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
    """A program under supervision: its process at this moment, and how often it was started again."""

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
    """Keeps a set of programs alive. `changed` is called after every start and end."""

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
        each = Supervised(program)
        self._supervised[program.name] = each
        each.task = asyncio.create_task(self._keep(each), name=f"keep {program.name}")

    async def until_ready(self, name: str, timeout_s: float) -> None:
        """Wait until the program is ready.

        Raises:
            LocalError: it did not in `timeout_s` seconds, or ended three times; the message shows the end of its log.
        """
        each = self._supervised[name]
        deadline = clock.monotonic_s() + timeout_s
        while not (each.process and await each.program.is_ready()):
            if each.task and each.task.done():
                await each.task  # raises what went wrong in `prepare`
            if clock.monotonic_s() > deadline or each.failures >= 3:  # noqa: PLR2004  # as documented
                why = f"ended again and again ({each.last_end})" if each.last_end else f"not ready in {timeout_s:g} s"
                raise LocalError(f"{name}: {why}. Its log is {each.program.log} and ends:\n{_tail(each.program.log)}")
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

    async def _keep(self, each: Supervised) -> None:
        while not self._stopping:
            began = clock.monotonic_s()
            try:
                await self._run_once(each)
            except Exception as error:
                # `until_ready` raises the failure of the first start; later ones may pass (a full disk, a taken port).
                if not each.last_end:
                    raise
                each.last_end = f"cannot be started: {error}"
            if self._stopping:
                return
            each.failures = 1 if clock.monotonic_s() - began > HEALTHY_AFTER_S else each.failures + 1
            delay_s = backoff_s(each.failures)
            self._say(f"{each.program.name} ended ({each.last_end}); starting it again in {delay_s:g} s")
            self._changed()
            await asyncio.sleep(delay_s)
            each.restarts += 1

    async def _run_once(self, each: Supervised) -> None:
        launch = await asyncio.to_thread(each.program.prepare)
        if self._stopping:
            return
        each.stop_signal = launch.stop_signal
        each.process = spawn(launch, each.program.log)
        each.started = _started(each.process.pid)
        self._changed()
        code = await exit_of(each.process)
        if not self._stopping:  # else `_stop` is waiting for it too
            each.process = None
        each.last_end = _how(code)

    async def _stop(self, each: Supervised) -> None:
        process = each.process
        if process and process.poll() is None:
            process.send_signal(each.stop_signal)
            try:
                async with asyncio.timeout(each.program.drain_s):
                    await exit_of(process)
            except TimeoutError:
                self._say(f"{each.program.name} did not end within {each.program.drain_s:g} s; killed")
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


def _tail(log: Path, lines: int = 12) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(empty)"
