"""Handling a command when others race, the store fails or the answer cannot be rendered."""

import asyncio
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest

from command_api.handling.backoff import MAX_DECISIONS
from command_api.handling.handle import WritePath
from domain.order.state import OrderState
from infra.event_store.memory import MemoryEventStore
from infra.event_store.protocol import (
    AppendCommand,
    AppendOutcome,
    AppendQueueFullError,
    AppendRejectedError,
    AppendTimeoutError,
    EventStore,
    EventStoreError,
    StoredEvent,
    StoreUnavailableError,
    WrongExpectedVersion,
)
from tests.support.orders.builders import NOW, order_body
from tests.support.services.command_service import ORDERS, memory_service
from tests.support.waiting import eventually


@dataclass
class InterruptedStore:
    """A store in memory that fails with `error`, and then loses `lost_races`, before it works; it counts reads.

    Appends wait while `may_append` is not set.
    """

    kept: EventStore = field(default_factory=MemoryEventStore)
    error: EventStoreError | None = None
    lost_races: int = 0
    reads: int = 0
    conflicts: int = 0
    lost: int = 0
    may_append: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_append.set()

    async def append(self, command: AppendCommand) -> AppendOutcome:
        if self.error is not None:
            raise self.error
        if self.lost_races:
            self.lost_races -= 1
            self.lost += 1
            return WrongExpectedVersion(command.expected_version + 1)
        await self.may_append.wait()
        await asyncio.sleep(0)  # others come in between, as they do when an append takes its time
        outcome = await self.kept.append(command)
        self.conflicts += isinstance(outcome, WrongExpectedVersion)
        return outcome

    async def append_all(self, commands: Sequence[AppendCommand]) -> list[AppendOutcome | EventStoreError]:
        if self.error is not None:
            raise self.error
        return await self.kept.append_all(commands)

    async def read_stream(self, tenant_id: str, stream_id: UUID) -> Sequence[StoredEvent]:
        self.reads += 1
        return await self.kept.read_stream(tenant_id, stream_id)

    async def read_all(self, after_position: int, limit: int) -> Sequence[StoredEvent]:
        return await self.kept.read_all(after_position, limit)

    async def head(self) -> int:
        return await self.kept.head()


async def test_a_response_that_cannot_be_rendered_leaves_no_event_and_no_record() -> None:
    def broken(_state: OrderState) -> bytes:
        raise RuntimeError("rendering is broken")

    store = MemoryEventStore()
    async with memory_service(store, writes=lambda kept: WritePath(kept, render=broken)) as service:
        failed = await service.post(body=order_body(), key="k")
    async with memory_service(store) as service:
        mended = await service.post(body=order_body(), key="k")

    assert (failed.status_code, failed.json()["code"]) == (500, "internal_error")
    assert b"rendering" not in failed.content
    assert (mended.status_code, "idempotency-replayed" in mended.headers) == (201, False)
    assert await store.head() == 1


async def test_an_order_known_from_before_is_not_read_again() -> None:
    store = InterruptedStore()
    async with memory_service(store) as service:
        order_id = (await service.post(body=order_body())).json()["id"]
        await service.post(f"{ORDERS}/{order_id}/authorize")

        captured = await service.post(f"{ORDERS}/{order_id}/captures")

    assert (captured.status_code, store.reads) == (200, 0)


async def test_a_stale_order_costs_one_conflict_and_is_decided_again() -> None:
    store = InterruptedStore()
    async with memory_service(store) as one, memory_service(store) as other:
        order_id = (await one.post(body=order_body())).json()["id"]
        await other.post(f"{ORDERS}/{order_id}/authorize")

        captured = await one.post(f"{ORDERS}/{order_id}/captures")

    assert (captured.status_code, captured.json()["status"], captured.headers["etag"]) == (200, "captured", '"3"')


async def test_an_order_that_was_restored_and_changed_otherwise_is_read_again() -> None:
    store = InterruptedStore()
    async with memory_service(store) as one, memory_service(store) as other:
        order_id = (await one.post(body=order_body())).json()["id"]
        await one.post(f"{ORDERS}/{order_id}/authorize")
        copy = deepcopy(store.kept)
        await one.post(f"{ORDERS}/{order_id}/captures")
        store.kept = copy  # restored: the capture never was, and the other process goes on
        for number in range(2):
            await other.post(f"{ORDERS}/{order_id}/notes", {"note": f"number {number}"})

        refund = await one.post(f"{ORDERS}/{order_id}/refunds")

    assert (refund.status_code, refund.json()["code"], refund.json()["current_version"]) == (409, "not_captured", 4)


class Pauses:
    """Counts the pauses of a write path instead of pausing."""

    def __init__(self) -> None:
        self.after: list[int] = []

    async def __call__(self, lost: int) -> None:
        self.after.append(lost)

    def writes(self, store: EventStore) -> WritePath:
        return WritePath(store, back_off=self)


async def test_a_command_that_loses_every_race_is_refused_as_retryable_and_not_recorded() -> None:
    store, pauses = InterruptedStore(), Pauses()
    async with memory_service(store, writes=pauses.writes) as service:
        order_id = (await service.post(body=order_body())).json()["id"]
        store.lost_races = MAX_DECISIONS
        lost = await service.post(f"{ORDERS}/{order_id}/authorize", key="k")
        again = await service.post(f"{ORDERS}/{order_id}/authorize", key="k")

    assert (lost.status_code, lost.json()["code"], lost.json()["retryable"]) == (409, "concurrent_modification", True)
    assert (again.status_code, "idempotency-replayed" in again.headers) == (200, False)
    assert pauses.after == list(range(1, MAX_DECISIONS))


async def test_two_hundred_at_once_on_one_order_never_race_each_other() -> None:
    store = InterruptedStore()
    async with memory_service(store) as service:
        order_id = (await service.post(body=order_body())).json()["id"]
        verbs = ("authorize", "captures", "cancel")

        answers = await asyncio.gather(
            *(service.post(f"{ORDERS}/{order_id}/{verbs[number % 3]}") for number in range(200))
        )

    assert {answer.status_code for answer in answers} == {200, 409}
    assert (store.conflicts, store.reads) == (0, 0)
    assert [event.version for event in await store.read_all(0, 10)] == [1, 2, 3]


async def test_what_is_decided_again_after_a_lost_race_is_decided_at_a_later_time() -> None:
    store = InterruptedStore()

    def writes(kept: EventStore) -> WritePath:
        return WritePath(kept, now=lambda: NOW + timedelta(minutes=store.lost))

    async with memory_service(store, writes=writes) as service:
        order_id = (await service.post(body=order_body())).json()["id"]
        store.lost_races = 2
        await service.post(f"{ORDERS}/{order_id}/authorize")

    assert [event.occurred_at for event in await store.read_all(0, 10)] == [NOW, NOW + timedelta(minutes=2)]


async def test_a_command_that_waited_for_its_order_is_decided_at_the_time_it_gets_it() -> None:
    store, now = InterruptedStore(), [NOW]
    made: list[WritePath] = []

    def writes(kept: EventStore) -> WritePath:
        made.append(WritePath(kept, now=lambda: now[0]))
        return made[0]

    async with memory_service(store, writes=writes) as service:
        order_id = (await service.post(body=order_body())).json()["id"]
        store.may_append.clear()
        first = asyncio.create_task(service.post(f"{ORDERS}/{order_id}/authorize"))
        await eventually(lambda: under_way(made[0]) == [1])
        second = asyncio.create_task(service.post(f"{ORDERS}/{order_id}/captures"))
        await eventually(lambda: under_way(made[0]) == [2])
        now[0] += timedelta(minutes=1)
        store.may_append.set()
        answers = await asyncio.gather(first, second)

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [event.occurred_at for event in await store.read_all(0, 10)] == [NOW, NOW, NOW + timedelta(minutes=1)]


def under_way(path: WritePath) -> list[int]:
    """Return how many commands are under way on each order."""
    return [queue.count for queue in path.order_locks._queues.values()]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (AppendQueueFullError("full"), 503, "queue_full"),
        (AppendTimeoutError("late"), 503, "outcome_unknown"),
        (StoreUnavailableError("gone"), 503, "store_unavailable"),
        (AppendRejectedError("too large"), 422, "order_too_large"),
    ],
)
async def test_a_store_that_fails_is_never_a_500_and_says_whether_to_repeat(
    error: EventStoreError, status: int, code: str
) -> None:
    store = InterruptedStore(error=error)
    async with memory_service(store) as service:
        failed = await service.post(body=order_body(), key="k")
        store.error = None
        again = await service.post(body=order_body(), key="k")

    assert (failed.status_code, failed.json()["code"]) == (status, code)
    assert (failed.json()["retryable"], "retry-after" in failed.headers) == (status == 503, status == 503)
    assert again.status_code == 201
