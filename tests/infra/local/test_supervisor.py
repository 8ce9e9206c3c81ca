"""The supervisor keeps processes alive and leaves none behind."""

import asyncio
import errno
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from infra.local.errors import LocalError
from infra.local.processes import supervisor
from infra.local.processes.launch import Launch
from infra.local.processes.supervisor import BACKOFF_S, Program, Supervisor, backoff_s, failures_after
from tests.support.waiting import eventually

pytestmark = pytest.mark.server  # real sockets or processes, and deadlines that take their time

FOREVER = ("/bin/sh", "-c", "exec sleep 600")
IGNORES_TERM = ("/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 600; done")


class Workshop:
    """A supervisor, what it said, and how often it reported a change."""

    def __init__(self, directory: Path) -> None:
        self.said: list[str] = []
        self.changes = 0
        self.directory = directory
        self.supervisor = Supervisor(self.said.append, self._count)

    def _count(self) -> None:
        self.changes += 1

    def program(self, name: str, argv: tuple[str, ...], drain_s: float = 60.0, is_ready: bool = True) -> Program:
        async def ready() -> bool:
            return is_ready

        return Program(name, self._prepare(argv), ready, self.directory / f"{name}.log", drain_s)

    def _prepare(self, argv: tuple[str, ...]) -> Callable[[], Launch]:
        return lambda: Launch(argv=argv, env={"PATH": os.defpath}, cwd=self.directory)

    def pid(self, name: str) -> int | None:
        return self.supervisor.supervised[name].pid


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    made = Workshop(tmp_path)
    yield made
    await made.supervisor.stop(made.supervisor.supervised)


async def test_a_process_that_dies_is_started_again_and_one_line_says_so(workshop: Workshop) -> None:
    workshop.supervisor.keep(workshop.program("sleeper", FOREVER))
    first = await eventually(lambda: workshop.pid("sleeper"))

    assert first
    os.kill(first, signal.SIGKILL)
    second = await eventually(lambda: (pid := workshop.pid("sleeper")) and pid != first and pid)

    assert psutil.pid_exists(second or 0)
    assert not psutil.pid_exists(first)
    assert workshop.supervisor.supervised["sleeper"].restarts == 1
    assert workshop.said == ["sleeper ended (SIGKILL); starting it again in 0.2 s"]
    assert workshop.changes == 3  # started, ended, started


@pytest.mark.parametrize("code", [0, -signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGTERM])
def test_a_clean_end_is_no_failure_unless_it_comes_at_once(code: int) -> None:
    assert [failures_after(2, code, ran_s) for ran_s in (4.0, 0.5)] == [0, 3]


@pytest.mark.parametrize("code", [1, 2, -signal.SIGKILL, -signal.SIGSEGV])
def test_a_failure_counts_and_the_count_begins_again_after_a_healthy_run(code: int) -> None:
    assert [failures_after(2, code, ran_s) for ran_s in (0.5, 4.0, 40.0)] == [3, 3, 1]


def test_delays_grow_and_stay_bounded() -> None:
    assert [backoff_s(failures) for failures in range(8)] == [0.0, *sorted(BACKOFF_S), BACKOFF_S[-1]]


async def test_stopping_asks_first_and_leaves_no_process(workshop: Workshop) -> None:
    asks = ("/bin/sh", "-c", 'trap "echo drained; exit 0" TERM; echo up; while :; do sleep 0.02; done')
    workshop.supervisor.keep(workshop.program("drains", asks))
    pid = await eventually(lambda: workshop.pid("drains"))
    log = workshop.directory / "drains.log"
    await eventually(lambda: "up" in log.read_text())

    await workshop.supervisor.stop(["drains"])

    assert not psutil.pid_exists(pid)
    assert log.read_text().split() == ["up", "drained"]
    assert workshop.said == []


async def test_what_does_not_drain_in_its_time_is_killed(workshop: Workshop) -> None:
    workshop.supervisor.keep(workshop.program("deaf", IGNORES_TERM, drain_s=0.05))
    pid = await eventually(lambda: workshop.pid("deaf"))
    await eventually(lambda: "deaf" in (workshop.directory / "deaf.log").read_text())

    await workshop.supervisor.stop(["deaf"])

    assert not psutil.pid_exists(pid)
    assert workshop.said == ["deaf did not end within 0.05 s; killed"]


async def test_stopping_during_a_backoff_starts_nothing_more(workshop: Workshop) -> None:
    workshop.supervisor.keep(workshop.program("fails", ("/bin/sh", "-c", "exit 3")))
    await eventually(lambda: len(workshop.said) >= 2)

    await workshop.supervisor.stop(["fails"])

    assert workshop.pid("fails") is None
    assert workshop.said[0] == "fails ended (exit 3); starting it again in 0.2 s"
    assert workshop.said[1] == "fails ended (exit 3); starting it again in 0.5 s"


async def test_a_process_that_ends_again_and_again_is_reported_with_the_end_of_its_log(workshop: Workshop) -> None:
    workshop.supervisor.keep(
        workshop.program("broken", ("/bin/sh", "-c", "echo no such table; exit 1"), is_ready=False)
    )

    with pytest.raises(LocalError, match=r"(?s)broken: ended again and again.*broken.log.*no such table"):
        await workshop.supervisor.until_ready("broken", timeout_s=60)


async def test_a_long_wait_shows_the_end_of_the_log(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "PROGRESS_S", 0.1)
    recovers = ("/bin/sh", "-c", "echo redo in progress; exec sleep 600")
    workshop.supervisor.keep(workshop.program("postgres", recovers, is_ready=False))

    waiting = asyncio.create_task(workshop.supervisor.until_ready("postgres", timeout_s=3600))
    await eventually(lambda: any("redo" in line for line in workshop.said))
    waiting.cancel()

    assert re.fullmatch(r"waiting for postgres \(\d+ s\): redo in progress", workshop.said[-1])


async def test_a_program_that_cannot_be_started_is_reported(workshop: Workshop) -> None:
    workshop.supervisor.keep(workshop.program("missing", ("/no/such/program",), is_ready=False))

    with pytest.raises(LocalError, match=r"missing: cannot be started: .*/no/such/program"):
        await workshop.supervisor.until_ready("missing", timeout_s=60)


async def test_whoever_is_told_cannot_end_what_keeps_a_process_alive(workshop: Workshop) -> None:
    watching = Supervisor(raises(BrokenPipeError()), raises(OSError(errno.ENOSPC, "no space")))
    watching.keep(workshop.program("sleeper", FOREVER))
    first = await eventually(lambda: watching.supervised["sleeper"].pid)

    os.kill(first or 0, signal.SIGKILL)

    second = await eventually(lambda: (pid := watching.supervised["sleeper"].pid) and pid != first and pid)
    os.kill(second or 0, signal.SIGKILL)
    await eventually(lambda: watching.supervised["sleeper"].pid not in {None, first, second})
    await watching.stop(["sleeper"])


async def test_a_start_that_fails_on_the_way_is_tried_again(workshop: Workshop) -> None:
    program = workshop.program("sleeper", FOREVER)
    workshop.supervisor.keep(program)
    first = await eventually(lambda: workshop.pid("sleeper"))
    program.log.unlink()
    program.log.mkdir()  # as on a full disk, the log cannot be opened

    os.kill(first or 0, signal.SIGKILL)
    await eventually(lambda: len(workshop.said) >= 3)
    program.log.rmdir()

    assert await eventually(lambda: workshop.pid("sleeper"))
    assert re.fullmatch(r"sleeper ended \(cannot be started: .*\); starting it again in 0.5 s", workshop.said[1])


async def test_a_keeper_that_ends_is_an_alarm_and_its_process_stays_supervised(workshop: Workshop) -> None:
    workshop.supervisor.keep(workshop.program("sleeper", FOREVER))
    first = await eventually(lambda: workshop.pid("sleeper"))
    keeper = workshop.supervisor.supervised["sleeper"].task

    assert keeper
    keeper.cancel()
    await eventually(lambda: workshop.said)
    os.kill(first or 0, signal.SIGKILL)

    assert workshop.said[0] == "ALARM: what keeps sleeper alive ended (None) and begins again"
    assert await eventually(lambda: (pid := workshop.pid("sleeper")) and pid != first and pid)


async def test_a_process_takes_the_signals_that_ask_it_to_end_also_when_its_starter_ignores_them(
    workshop: Workshop,
) -> None:
    earlier = signal.signal(signal.SIGINT, signal.SIG_IGN)  # what a shell gives to a job in the background
    try:
        workshop.supervisor.keep(workshop.program("sleeper", FOREVER))
        first = await eventually(lambda: workshop.pid("sleeper"))
        os.kill(first or 0, signal.SIGINT)

        await eventually(lambda: workshop.said)
    finally:
        signal.signal(signal.SIGINT, earlier)

    assert workshop.said[0].startswith("sleeper ended (SIGINT)")


async def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from infra.local.processes.launch import Launch, spawn\n"
        "launch = Launch(('/bin/sh', '-c', 'exec sleep 600'), {}, Path('/'))\n"
        "print(spawn(launch, Path(sys.argv[1])).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    checkout = Path(__file__).parents[3]
    starter = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(tmp_path / "log")), cwd=checkout, stdout=asyncio.subprocess.PIPE
    )
    assert starter.stdout
    child = int(await starter.stdout.readline())

    starter.kill()
    await starter.wait()

    await eventually(lambda: has_ended(child))


def raises(error: Exception) -> Callable[..., None]:
    """Return a function that raises this, whatever it is given."""

    def raise_it(*_given: object) -> None:
        raise error

    return raise_it


def has_ended(pid: int) -> bool:
    """Return whether a process that is not our child has ended."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
