"""`make demo`: orders through the whole system, then a reconciliation of every place that should know of them.

Exit status: 0 everything agrees; 1 something was lost or doubled; 2 the demo could not run.
"""

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from rich.console import Console

from tests.demo import collect, report
from tests.demo.orders import BadFileError, Draft, generated, invoices
from tests.demo.partner import REQUEST_TIMEOUT_S, GaveUpError, Ledger, Partner
from tests.demo.progress import Progress
from tests.demo.receiver import Receiver
from tests.demo.stack import NoStackError, Stack, stack
from tests.faults.checker import History, Receipt, StoreEvent, TimelineRow, check

PATIENCE_S = 120.0
POLL_S = 0.1
CREATED = 201


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    orders: int
    file: Path | None
    concurrency: int
    seed: int


def main() -> int:
    """Run the demo; give the exit status."""
    parser = argparse.ArgumentParser(
        prog="make demo", description=__doc__, epilog='Example: make demo ARGS="--file invoices.csv"'
    )
    parser.add_argument("--orders", type=int, default=500, help="how many generated orders (default 500)")
    parser.add_argument("--file", type=Path, help="send the invoices of this CSV instead (see README, demo)")
    parser.add_argument("--concurrency", type=int, default=4, help="orders under way at once (default 4)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the generated orders (default 1)")
    given = parser.parse_args()
    if given.orders < 1 or given.concurrency < 1:
        parser.error("--orders and --concurrency are at least 1")
    options = Options(given.orders, given.file, given.concurrency, given.seed)
    run = f"demo-{secrets.token_hex(4)}"
    try:
        drafts = invoices(options.file, run) if options.file else list(generated(options.orders, options.seed, run))
        with stack() as target:
            return asyncio.run(_demo(target, drafts, options.concurrency, run))
    except (BadFileError, NoStackError, GaveUpError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 2


async def _demo(target: Stack, drafts: Sequence[Draft], concurrency: int, run: str) -> int:
    console = Console()
    console.print(f"{len(drafts)} orders to {target.command_api} as {run}, {concurrency} at a time")
    created_from = datetime.now(UTC).isoformat()
    since = await collect.start(target)
    ledger = Ledger()
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session, Receiver() as receiver:
        endpoint_id = await _register(target, session, receiver)
        try:
            started = time.perf_counter()
            await _send_all(target, session, drafts, ledger, run, concurrency)
            seconds = time.perf_counter() - started
            events = await collect.store_events(target, since, run)
            await _until_delivered(events, receiver.receipts)
            order_ids = {event.order_id for event in events}
            topic = await collect.topic_records(target, since, order_ids, len(events))
            shown = await _until_shown(target, session, run, created_from, events)
            timeline = await _timelines(target, session, order_ids)
        finally:
            await _unregister(target, session, endpoint_id)
    history = History(
        ledger.replies,
        events,
        topic,
        [collect.order_row(document) for document in shown.values()],
        timeline,
        [receipt for receipt in receiver.receipts if receipt.webhook_id in {event.event_id for event in events}],
    )
    anomalies = [*check(history), *report.differing_documents(ledger.documents, shown)]
    report.show(console, history, ledger, anomalies, seconds)
    return 1 if anomalies else 0


async def _register(target: Stack, session: aiohttp.ClientSession, receiver: Receiver) -> str:
    """Register the receiver as webhook endpoint; give its id."""
    body = {"url": receiver.url, "event_types": ["order.*"]}
    headers = {"Authorization": f"Bearer {target.api_key}"}
    url = f"{target.command_api}/api/v1/webhook-endpoints"
    async with session.post(url, json=body, headers=headers) as response:
        answer = await response.json(content_type=None)
        if response.status != CREATED:
            raise NoStackError(f"the webhook endpoint was refused: {answer.get('detail', answer)}")
    receiver.secret = answer["secret"]
    return str(answer["id"])


async def _unregister(target: Stack, session: aiohttp.ClientSession, endpoint_id: str) -> None:
    headers = {"Authorization": f"Bearer {target.api_key}"}
    url = f"{target.command_api}/api/v1/webhook-endpoints/{endpoint_id}"
    async with session.delete(url, headers=headers) as response:
        await response.read()


async def _send_all(
    target: Stack, session: aiohttp.ClientSession, drafts: Sequence[Draft], ledger: Ledger, run: str, concurrency: int
) -> None:
    """Send every draft, `concurrency` at a time, with a progress bar."""
    queue = iter(enumerate(drafts))
    partner = Partner(target, session, ledger, run)
    with Progress("orders", len(drafts)) as progress:

        async def worker() -> None:
            for number, draft in queue:
                await partner.place(draft, number)
                progress.advance()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(worker())
        except* GaveUpError as failures:
            raise failures.exceptions[0] from None


async def _until_delivered(events: Sequence[StoreEvent], receipts: Sequence[Receipt]) -> None:
    """Wait until each event arrived as a verified webhook, or until nothing more arrived for two minutes."""
    wanted = {event.event_id for event in events}
    with Progress("webhooks", len(wanted)) as progress:
        seen = 0
        quiet_since = time.monotonic()
        while seen < len(wanted) and time.monotonic() - quiet_since < PATIENCE_S:
            now = len({receipt.webhook_id for receipt in receipts if receipt.verified} & wanted)
            if now > seen:
                progress.advance(now - seen)
                seen, quiet_since = now, time.monotonic()
            await asyncio.sleep(POLL_S)


async def _until_shown(
    target: Stack, session: aiohttp.ClientSession, run: str, created_from: str, events: Sequence[StoreEvent]
) -> dict[str, dict[str, object]]:
    """Read the list of orders until it has every event, or until two minutes passed."""
    versions = {event.order_id: event.version for event in events}
    deadline = time.monotonic() + PATIENCE_S
    while True:
        shown = await collect.orders_shown(target, session, run, created_from)
        current = {order_id: document["version"] for order_id, document in shown.items()}
        if current == versions or time.monotonic() > deadline:
            return shown
        await asyncio.sleep(POLL_S)


async def _timelines(target: Stack, session: aiohttp.ClientSession, order_ids: set[str]) -> list[TimelineRow]:
    """Read the timeline of every order, a few at a time."""
    rows: list[TimelineRow] = []
    queue = iter(sorted(order_ids))
    with Progress("timelines", len(order_ids)) as progress:

        async def worker() -> None:
            for order_id in queue:
                rows.extend(await collect.timeline_shown(target, session, order_id))
                progress.advance()

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(worker())
    return rows


if __name__ == "__main__":
    sys.exit(main())
