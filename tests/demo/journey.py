"""One journey of many orders through a running system, and everything the checker needs to judge it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from tests.demo import collect
from tests.demo.orders import Draft
from tests.demo.partner import REQUEST_TIMEOUT_S, GaveUpError, Ledger, Partner
from tests.demo.progress import progress
from tests.demo.receiver import Receiver, receiving
from tests.demo.stack import NoStackError, Stack
from tests.faults.checker import Anomaly, History, Receipt, StoreEvent, TimelineRow, check

PATIENCE_S = 120.0
POLL_S = 0.1
CREATED = 201
TIMELINES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Journey:
    """What came of it."""

    history: History
    ledger: Ledger
    seconds: float
    documents: Mapping[str, Any] = field(default_factory=dict)

    def anomalies(self) -> list[Anomaly]:
        """Return everything lost, doubled or different; the query side must equal the last response of each order."""
        differing = (
            Anomaly("missing-effect", f"order {order_id}: the query side differs from the last response")
            for order_id, document in self.ledger.documents.items()
            if self.documents.get(order_id) != document
        )
        return [*check(self.history), *differing]


async def travel(target: Stack, drafts: Iterable[Draft], concurrency: int, run: str, *, total: int = 0) -> Journey:
    """Send every draft through its life, wait until every place has come to rest, collect what each holds.

    `total` is how many drafts there are; without it no progress is shown.

    Raises:
        GaveUpError: a request stayed without a definite response for two minutes.
        NoStackError: the webhook endpoint was refused.
    """
    show = total > 0
    created_from = datetime.now(UTC).isoformat()
    since = await collect.start(target)
    ledger = Ledger()
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
        receiving() as receiver,
        _registered(target, session, receiver),
    ):
        started_s = time.perf_counter()
        await _send_all(Partner(target, session, ledger, run), drafts, concurrency, total)
        seconds = time.perf_counter() - started_s
        events = await collect.store_events(target, since, run)
        await _until_delivered(events, receiver.receipts, show=show)
        order_ids = {event.order_id for event in events}
        topic = await collect.topic_records(target, since, order_ids, len(events))
        documents = await _until_shown(target, session, run, created_from, events)
        timeline = await _timelines(target, session, order_ids, show=show)
    mine = {event.event_id for event in events}
    history = History(
        ledger.replies,
        events,
        topic,
        [collect.order_row(document) for document in documents.values()],
        timeline,
        [receipt for receipt in receiver.receipts if receipt.webhook_id in mine],
    )
    return Journey(history, ledger, seconds, documents)


@asynccontextmanager
async def _registered(target: Stack, session: aiohttp.ClientSession, receiver: Receiver) -> AsyncIterator[None]:
    """Keep the receiver registered as a webhook endpoint while the context is open."""
    url = f"{target.command_api}/api/v1/webhook-endpoints"
    body = {"url": receiver.url, "event_types": ["order.*"]}
    async with session.post(url, json=body, headers=target.authorization) as response:
        endpoint = await response.json(content_type=None)
        if response.status != CREATED:
            raise NoStackError(f"the webhook endpoint was refused: {endpoint.get('detail', endpoint)}")
    receiver.secret = endpoint["secret"]
    try:
        yield
    finally:
        async with session.delete(f"{url}/{endpoint['id']}", headers=target.authorization) as response:
            await response.read()


async def _send_all(partner: Partner, drafts: Iterable[Draft], concurrency: int, total: int) -> None:
    """Send every draft, `concurrency` at a time."""
    queue = iter(enumerate(drafts))
    with progress("orders", total, show=total > 0) as advance:

        async def worker() -> None:
            for number, draft in queue:
                await partner.place(draft, number)
                advance(1)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(worker())
        except* GaveUpError as failures:
            raise failures.exceptions[0] from None


async def _until_delivered(events: Sequence[StoreEvent], receipts: Sequence[Receipt], *, show: bool) -> None:
    """Wait until each event arrived as a verified webhook, or until nothing more arrived for two minutes."""
    wanted = {event.event_id for event in events}
    seen = 0
    quiet_since_s = time.monotonic()
    with progress("webhooks", len(wanted), show=show) as advance:
        while seen < len(wanted) and time.monotonic() - quiet_since_s < PATIENCE_S:
            now = len({receipt.webhook_id for receipt in receipts if receipt.verified} & wanted)
            if now > seen:
                advance(now - seen)
                seen, quiet_since_s = now, time.monotonic()
            await asyncio.sleep(POLL_S)


async def _until_shown(
    target: Stack, session: aiohttp.ClientSession, run: str, created_from: str, events: Sequence[StoreEvent]
) -> dict[str, Any]:
    """Read the list of orders until it has every event, or until two minutes passed."""
    versions = {event.order_id: event.version for event in events}
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        shown = await collect.orders_shown(target, session, run, created_from)
        current = {order_id: document["version"] for order_id, document in shown.items()}
        if current == versions or time.monotonic() > deadline_s:
            return shown
        await asyncio.sleep(POLL_S)


async def _timelines(
    target: Stack, session: aiohttp.ClientSession, order_ids: set[str], *, show: bool
) -> list[TimelineRow]:
    """Read the timeline of every order, a few at a time."""
    rows: list[TimelineRow] = []
    queue = iter(sorted(order_ids))
    with progress("timelines", len(order_ids), show=show) as advance:

        async def worker() -> None:
            for order_id in queue:
                rows.extend(await collect.timeline_shown(target, session, order_id))
                advance(1)

        async with asyncio.TaskGroup() as group:
            for _ in range(TIMELINES_AT_ONCE):
                group.create_task(worker())
    return rows
