"""A batch where the store, the process or the partner's rate is at its bounds, or one of its orders meets a bug."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import pytest

from command_api.handling.handle import WritePath
from domain.order.document import render_order
from domain.order.state import OrderState
from infra.event_store.memory import MemoryEventStore
from infra.event_store.protocol import (
    AppendCommand,
    AppendOutcome,
    AppendQueueFullError,
    AppendRejectedError,
    AppendTimeoutError,
    EventStoreError,
    StoreUnavailableError,
)
from infra.redis.gcra import Rate
from infra.redis.rate_limit import RateLimiter
from infra.settings import CommandApiSettings
from tests.support.orders.batches import batch, item, results, told
from tests.support.services import command_service
from tests.support.services.command_service import BATCH, memory_service
from tests.support.waiting import eventually

A_DAY: Final = 86_400.0


@dataclass
class FailingStore(MemoryEventStore):
    """A store in memory whose calls of `append_all` fail as told, one after the other: as a whole, or some commands."""

    whole: list[EventStoreError | None] = field(default_factory=list)
    some: dict[str, EventStoreError] = field(default_factory=dict)
    may_go: asyncio.Event | None = None

    def __post_init__(self) -> None:
        super().__init__()

    async def append_all(self, commands: Sequence[AppendCommand]) -> list[AppendOutcome | EventStoreError]:
        if self.may_go is not None:
            await self.may_go.wait()
        if self.whole and (error := self.whole.pop(0)) is not None:
            raise error
        return [
            self.some.get(command.key) or (await super(FailingStore, self).append_all([command]))[0]
            for command in commands
        ]


@pytest.mark.parametrize(
    ("error", "code"), [(AppendQueueFullError(), "queue_full"), (StoreUnavailableError(), "store_unavailable")]
)
async def test_without_room_for_all_of_them_the_batch_is_refused_as_a_whole(error: EventStoreError, code: str) -> None:
    store = FailingStore(whole=[error])
    async with memory_service(store) as service:
        refused = await service.post(BATCH, batch(item("a"), item("b")))
        metrics = (await service.http.get("/metrics")).text

    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, code, "1")
    assert 'harbor_commands_total{outcome="error",type="create"} 2.0' in metrics
    assert await store.head() == 0


async def test_an_order_whose_outcome_is_unknown_is_a_503_in_its_place() -> None:
    store = FailingStore(
        some={"late": AppendTimeoutError(), "away": StoreUnavailableError(), "large": AppendRejectedError()}
    )
    async with memory_service(store) as service:
        answer = await service.post(BATCH, batch(*(item(key) for key in ("late", "good", "away", "large"))))
        metrics = (await service.http.get("/metrics")).text

    assert told(answer) == [(503, "outcome_unknown"), (201, None), (503, "store_unavailable"), (422, "order_too_large")]
    assert [result["body"].get("retryable") for result in results(answer)] == [True, None, True, False]
    assert answer.json()["summary"] == {"orders": 4, "created": 1, "replayed": 0, "refused": 1, "unknown": 2}
    for outcome, count in (("done", 1), ("refused", 1), ("error", 2)):
        assert f'harbor_commands_total{{outcome="{outcome}",type="create"}} {count}.0' in metrics


async def test_a_refusal_that_cannot_be_recorded_is_a_503_and_leaves_its_key_free() -> None:
    store = FailingStore(whole=[None, AppendQueueFullError()])
    async with memory_service(store) as service:
        items = [item("a", external_reference="PO-1"), item("b", external_reference="PO-1")]
        first = await service.post(BATCH, batch(*items))
        again = await service.post(BATCH, batch(*items))

    assert told(first) == [(201, None), (503, "queue_full")]
    assert told(again) == [(201, None), (409, "duplicate_external_reference")]
    assert [result["replayed"] for result in results(again)] == [True, False]


async def test_a_bug_that_one_order_meets_costs_only_that_order() -> None:
    def render(state: OrderState) -> bytes:
        if state.currency.code == "JPY":
            raise RuntimeError("secret-canary")
        return render_order(state)

    yen = item("b", currency="JPY", lines=[{"sku": "a", "quantity": 1, "unit_price": "100"}])
    async with memory_service(writes=lambda kept: WritePath(kept, render=render)) as service:
        answer = await service.post(BATCH, batch(item("a"), yen, item("c")))

    assert told(answer) == [(201, None), (500, "internal_error"), (201, None)]
    assert b"canary" not in answer.content


async def test_a_batch_counts_as_its_orders_against_the_rate_and_is_refused_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a_millisecond_a_look = partial(next, itertools.count(1.0, 0.001))  # however long the machine takes
    monkeypatch.setattr(command_service, "RateLimiter", partial(RateLimiter, now_s=a_millisecond_a_look))
    async with memory_service(rate=Rate(per_s=1, burst=5)) as service:
        first = await service.post(BATCH, batch(*(item(f"a-{number}") for number in range(3))))
        second = await service.post(BATCH, batch(*(item(f"b-{number}") for number in range(3))))
        head = await service.store.head()

    assert (first.headers["ratelimit"], first.headers["ratelimit-policy"]) == ('"partner";r=2;t=0', '"partner";q=5;w=5')
    assert (second.status_code, second.json()["code"]) == (429, "rate_limited")
    assert int(second.headers["retry-after"]) >= 1
    assert head == 3


async def test_a_batch_beyond_the_longest_queue_is_refused_and_not_charged_for_its_orders() -> None:
    may_go = asyncio.Event()
    bodies = [batch(*(item(f"{number}-{order}") for order in range(10))) for number in range(6)]
    settings = CommandApiSettings(batches_at_once=1, request_deadline_s=A_DAY)
    async with memory_service(FailingStore(may_go=may_go), settings=settings, rate=Rate(per_s=1, burst=66)) as service:
        sent = [asyncio.create_task(service.post(BATCH, body)) for body in bodies]
        await eventually(lambda: any(task.done() for task in sent))
        may_go.set()
        answers = await asyncio.gather(*sent)
        [refused] = [number for number, answer in enumerate(answers) if answer.status_code == 503]
        assert (answers[refused].json()["code"], answers[refused].headers["retry-after"]) == ("overloaded", "1")
        again = await service.post(BATCH, bodies[refused])

    assert again.status_code == 207  # 5 x 10 + 1 + 10 of 66


async def test_the_refusal_of_a_batch_above_the_burst_names_the_most_orders_it_may_hold() -> None:
    async with memory_service(rate=Rate(per_s=1, burst=5)) as service:
        refused = await service.post(BATCH, batch(*(item(f"a-{number}") for number in range(6))))

    assert (refused.status_code, refused.json()["code"], refused.json()["max_commands"]) == (422, "above_rate", 5)
    assert refused.json()["retryable"] is False
