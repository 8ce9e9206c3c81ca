"""The supervisor keeps processes alive and leaves none behind."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from infra.local.errors import LocalError
from infra.local.processes.launch import Launch
from infra.local.processes.supervisor import BACKOFF_S, Program, Supervisor, backoff_s
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


async def test_a_program_that_cannot_be_started_is_reported(workshop: Workshop) -> None:
    workshop.supervisor.keep(workshop.program("missing", ("/no/such/program",), is_ready=False))

    with pytest.raises(FileNotFoundError, match="/no/such/program"):
        await workshop.supervisor.until_ready("missing", timeout_s=60)


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


def has_ended(pid: int) -> bool:
    """Return whether a process that is not our child has ended."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
