"""Freshness is counted: as many events applied as the log holds means all of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from infra.http.problems import Problem
from query_api.freshness import (
    ORDERS,
    POLL_NOT_LISTENING_S,
    POLL_S,
    POLL_WHEN_BEHIND_S,
    VERSIONS,
    Freshness,
    FreshnessWatch,
    Progress,
    ProgressSnapshot,
    follow,
)
from query_api.tokens import Token

NEAR = Token(1, 7)
START = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)


class Now:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at

    def passes(self, milliseconds: int) -> None:
        self.at += timedelta(milliseconds=milliseconds)


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def freshness(now: Now) -> Freshness:
    return Freshness(3, now)


def all_of(*partitions: Progress) -> dict[tuple[str, int], Progress]:
    return {(name, partition): each for name in VERSIONS for partition, each in enumerate(partitions)}


def moved(partition: int, last_position: int, applied: int) -> list[tuple[str, int, Progress]]:
    return [(name, partition, Progress(last_position, applied)) for name in VERSIONS]


def test_freshness_is_unknown_before_the_first_reading(freshness: Freshness) -> None:
    assert freshness.lag_ms(ORDERS) is None
    assert freshness.is_behind


@pytest.mark.parametrize(
    ("head", "partitions", "position", "is_behind"),
    [
        pytest.param(0, [], 0, False, id="an empty log"),
        pytest.param(
            10,
            [Progress(10, 6), Progress(3, 3), Progress(1, 1)],
            10,
            False,
            id="everything counted is all applied",
        ),
        pytest.param(
            10,
            [Progress(10, 5), Progress(3, 3), Progress(1, 1)],
            1,
            True,
            id="one less: only the slowest is certain",
        ),
    ],
)
def test_what_is_applied_is_counted(
    freshness: Freshness, head: int, partitions: list[Progress], position: int, is_behind: bool
) -> None:
    freshness.learn_all(ProgressSnapshot(head, all_of(*partitions), []))

    assert (freshness.position(ORDERS), freshness.is_behind) == (position, is_behind)
    assert freshness.position(ORDERS, 0) == head


def test_a_partition_ahead_of_the_head_that_was_heard_does_not_count_for_the_others(freshness: Freshness) -> None:
    """The head moved to 2 unheard: partition 0 has applied event 2, 1 lacks event 1; one of one was counted."""
    freshness.learn_all(ProgressSnapshot(1, all_of(), []))

    freshness.learn_partitions(moved(0, 2, 1))

    assert freshness.position(ORDERS) == 0
    assert freshness.is_behind


def test_what_was_complete_once_stays_complete(freshness: Freshness) -> None:
    freshness.learn_all(ProgressSnapshot(4, all_of(Progress(4, 4)), []))

    freshness.learn_head(9)

    assert freshness.position(ORDERS) == 4


def test_the_lag_is_the_age_of_the_log_at_what_is_applied(freshness: Freshness, now: Now) -> None:
    freshness.learn_all(ProgressSnapshot(0, all_of(), []))
    freshness.learn_head(5)
    now.passes(100)
    freshness.learn_head(8)
    now.passes(30)

    waited_for_all = freshness.lag_ms(ORDERS)
    freshness.learn_partitions(moved(0, 5, 5))
    waited_for_the_second_batch = freshness.lag_ms(ORDERS)
    freshness.learn_partitions(moved(1, 8, 3))

    assert [waited_for_all, waited_for_the_second_batch, freshness.lag_ms(ORDERS)] == [130, 30, 0]


def test_the_lag_after_a_start_comes_from_the_ledger(freshness: Freshness) -> None:
    freshness.learn_all(ProgressSnapshot(9, all_of(Progress(4, 4)), [(6, START - timedelta(seconds=7))]))

    assert freshness.lag_ms(ORDERS) == 7000


def test_a_restored_database_takes_positions_back(freshness: Freshness) -> None:
    freshness.learn_all(ProgressSnapshot(10, all_of(Progress(10, 10)), []))

    freshness.learn_all(ProgressSnapshot(4, all_of(Progress(4, 4)), []))

    assert freshness.position(ORDERS) == freshness.position(ORDERS, 0) == 4


def test_notifications_move_head_and_shards_and_those_of_another_version_or_form_change_nothing(
    freshness: Freshness,
) -> None:
    freshness.learn_all(ProgressSnapshot(0, {}, []))

    follow(
        freshness,
        [
            ("harbor_projected", f"orders {VERSIONS[ORDERS] + 1} 0 99 99"),
            ("harbor_projected", "nonsense"),
            ("harbor_projected", ""),
            ("harbor_events", "x y"),
            ("harbor_events", ""),
        ],
    )
    unchanged = [freshness.position(ORDERS, 0), freshness.is_behind]
    moves = ";".join(f"{name} {version} 2 3 3" for name, version in VERSIONS.items())
    follow(freshness, [("harbor_events", "1 3"), ("harbor_projected", moves)])

    assert unchanged == [0, False]
    assert [freshness.position(ORDERS), freshness.lag_ms(ORDERS)] == [3, 0]


async def test_a_waiting_read_is_woken_by_its_own_partition(freshness: Freshness) -> None:
    waiting = asyncio.create_task(freshness.wait_for("acme.test", Token(1, 7), ORDERS, 60.0))
    await asyncio.sleep(0)

    freshness.learn_partitions([*moved(0, 9, 5), *moved(1, 6, 1)])
    await asyncio.sleep(0)
    too_early = waiting.done()
    freshness.learn_partitions(moved(1, 7, 2))
    await waiting

    assert not too_early


@asynccontextmanager
async def waiters(freshness: Freshness, *callers: str) -> AsyncIterator[None]:
    """Let a read of each of them wait for what does not come."""
    far = Token(0, 10**5)
    waiting = [asyncio.create_task(freshness.wait_for(caller, far, ORDERS, 60)) for caller in callers]
    await asyncio.sleep(0)  # let each of them begin
    yield
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def is_turned_away(freshness: Freshness, caller: str, token: Token = NEAR) -> bool:
    """Return whether a read of somebody is refused before it has waited at all."""
    waiting = asyncio.create_task(freshness.wait_for(caller, token, ORDERS, 60))
    await asyncio.wait([waiting], timeout=0.05)
    if waiting.done():
        with pytest.raises(Problem, match="projection_lagging"):
            waiting.result()
        return True
    waiting.cancel()
    return False


async def test_reads_that_wait_are_bounded(freshness: Freshness) -> None:
    async with waiters(freshness, *(f"partner-{number % 5}.test" for number in range(255))):
        assert not await is_turned_away(freshness, "acme.test")
    async with waiters(freshness, *(f"partner-{number % 5}.test" for number in range(256))):
        assert await is_turned_away(freshness, "acme.test")

    freshness.learn_partitions(moved(1, 7, 7))
    await freshness.wait_for("acme.test", Token(1, 7), ORDERS, 60)


async def test_one_partner_holds_a_quarter_of_the_places_at_most(freshness: Freshness) -> None:
    async with waiters(freshness, *["acme.test"] * 63):
        assert not await is_turned_away(freshness, "acme.test")
    async with waiters(freshness, *["acme.test"] * 64):
        assert await is_turned_away(freshness, "acme.test")
        assert not await is_turned_away(freshness, "acme.live")

    assert not await is_turned_away(freshness, "acme.test"), "places are given back"


async def test_a_token_far_beyond_the_log_is_refused_without_waiting(freshness: Freshness) -> None:
    far = Token(1, 1_000_000 + 8)
    unknown = await is_turned_away(freshness, "acme.test", far)
    freshness.learn_all(ProgressSnapshot(7, all_of(), []))
    beyond = await is_turned_away(freshness, "acme.test", far)
    freshness.learn_head(8)
    near = await is_turned_away(freshness, "acme.test", far)

    assert [unknown, beyond, near] == [False, True, False]


async def test_a_read_that_waits_too_long_is_refused_with_retry_after(freshness: Freshness) -> None:
    with pytest.raises(Problem, match="projection_lagging") as raised:
        await freshness.wait_for("acme.test", Token(1, 7), ORDERS, 0.01)

    assert raised.value.headers == {"retry-after": "1"}


class Machine:
    """The watch's surroundings: a clock that only `wait` moves, notifications that the test puts in."""

    def __init__(self, *, is_listening: bool = True) -> None:
        self.s = 0.0
        self.waits: list[float] = []
        self.incoming: list[list[tuple[str, str]]] = []
        self.readings: list[ProgressSnapshot | Exception] = []
        self.is_listening = is_listening
        self.finished = asyncio.Event()

    async def read(self) -> ProgressSnapshot:
        reading = self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]
        if isinstance(reading, Exception):
            raise reading
        return reading

    async def wait(self, timeout_s: float) -> list[tuple[str, str]]:
        self.waits.append(round(timeout_s, 3))
        if not self.incoming:
            self.finished.set()
            await asyncio.Event().wait()
        notifications = self.incoming.pop(0)
        if not notifications:
            self.s += timeout_s
        return notifications

    async def runs(self, freshness: Freshness) -> None:
        watch = FreshnessWatch(freshness, self.read, self.wait, lambda: self.is_listening, self._monotonic_s)
        task = asyncio.create_task(watch.run())
        await self.finished.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    @property
    def _monotonic_s(self) -> Callable[[], float]:
        return lambda: self.s


UP_TO_DATE = ProgressSnapshot(0, {}, [])


@pytest.mark.parametrize(
    ("is_listening", "incoming", "waits"),
    [
        pytest.param(True, [[], []], [POLL_S] * 3, id="idle: rarely"),
        pytest.param(True, [[("harbor_events", "1 5")]], [POLL_S, POLL_WHEN_BEHIND_S], id="behind: sooner"),
        pytest.param(False, [[]], [POLL_NOT_LISTENING_S] * 2, id="hears nothing: polls"),
    ],
)
async def test_how_often_a_service_looks_at_the_truth(
    freshness: Freshness, is_listening: bool, incoming: list[list[tuple[str, str]]], waits: list[float]
) -> None:
    machine = Machine(is_listening=is_listening)
    machine.readings, machine.incoming = [UP_TO_DATE], incoming

    await machine.runs(freshness)

    assert machine.waits == waits


async def test_while_the_database_is_away_freshness_is_unknown_and_then_known_again(freshness: Freshness) -> None:
    machine = Machine()
    machine.readings, machine.incoming = [UP_TO_DATE, ConnectionError(), UP_TO_DATE], [[]]
    await machine.runs(freshness)
    away = freshness.lag_ms(ORDERS)
    machine.finished.clear()
    machine.incoming = []
    await machine.runs(freshness)

    assert [away, freshness.lag_ms(ORDERS)] == [None, 0]
