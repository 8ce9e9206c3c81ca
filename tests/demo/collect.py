"""What the system holds after the demo: the store, the topic and the query side, in the checker's terms."""

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.settings import KafkaSettings
from tests.demo.stack import Stack
from tests.faults.checker import OrderRow, StoreEvent, TimelineRow, TopicRecord

PAGE = 200
READ_BATCH = 2000
TOPIC_DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class Start:
    """Where the log and the topic ended before the demo began."""

    position: int
    offsets: dict[int, int]


async def start(stack: Stack) -> Start:
    """Note the ends of log and topic."""
    connection = await asyncpg.connect(stack.postgres)
    try:
        position = await connection.fetchval("SELECT coalesce(max(last_position), 0) FROM harbor.batches")
    finally:
        await connection.close()
    if stack.kafka is None:
        return Start(position, {})
    async with _consumer(stack.kafka) as consumer:
        partitions = [TopicPartition(stack.topic, number) for number in range(KafkaSettings().partitions)]
        ends = await consumer.end_offsets(partitions)
        return Start(position, {partition.partition: offset for partition, offset in ends.items()})


async def store_events(stack: Stack, since: Start, run: str) -> list[StoreEvent]:
    """Read the log from where the demo began; keep the events of orders that carry this run's name."""
    events: list[StoreEvent] = []
    mine: set[UUID] = set()
    connection = await asyncpg.connect(stack.postgres)
    try:
        position = since.position
        while rows := await connection.fetch(
            "SELECT position, stream_id, version, event_id, payload FROM harbor.events"
            " WHERE position > $1 ORDER BY position LIMIT $2",
            position,
            READ_BATCH,
        ):
            position = rows[-1]["position"]
            for row in rows:
                data = orjson.loads(row["payload"])["data"]
                if (data.get("metadata") or {}).get("run") == run:
                    mine.add(row["stream_id"])
                if row["stream_id"] in mine:
                    events.append(_store_event(row, data))
    finally:
        await connection.close()
    return events


def _store_event(row: asyncpg.Record, data: Any) -> StoreEvent:
    return StoreEvent(
        row["position"],
        str(row["stream_id"]),
        row["version"],
        str(row["event_id"]),
        hashlib.sha256(row["payload"]).hexdigest(),
        data["to_status"],
        data["totals"]["total_minor"],
    )


async def topic_records(stack: Stack, since: Start, order_ids: set[str], expected: int) -> list[TopicRecord] | None:
    """Read the topic from where the demo began until `expected` different events were seen or two minutes passed."""
    if stack.kafka is None:
        return None
    records: list[TopicRecord] = []
    seen: set[str] = set()
    async with _consumer(stack.kafka) as consumer:
        partitions = {number: TopicPartition(stack.topic, number) for number in since.offsets}
        consumer.assign(list(partitions.values()))
        for number, offset in since.offsets.items():
            consumer.seek(partitions[number], offset)
        deadline = time.monotonic() + TOPIC_DEADLINE_S
        while len(seen) < expected and time.monotonic() < deadline:
            for batch in (await consumer.getmany(timeout_ms=500, max_records=READ_BATCH)).values():
                for record in batch:
                    if (record.key or b"").decode() in order_ids:
                        records.append(_topic_record(record))
                        seen.add(records[-1].event_id)
    return records


def _topic_record(record: Any) -> TopicRecord:
    headers = {name: value.decode() for name, value in record.headers}
    return TopicRecord(
        record.partition,
        record.offset,
        int(headers["position"]),
        record.key.decode(),
        int(headers["sequence"]),
        headers["ce_id"],
        hashlib.sha256(record.value).hexdigest(),
    )


@asynccontextmanager
async def _consumer(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def orders_shown(stack: Stack, session: aiohttp.ClientSession, run: str, created_from: str) -> dict[str, Any]:
    """Walk the list of orders from the start of the demo; return this run's documents by id."""
    found: dict[str, Any] = {}
    parameters = {"limit": str(PAGE), "created_from": created_from}
    while True:
        async with session.get(
            f"{stack.query_api}/api/v1/orders", params=parameters, headers=stack.authorization
        ) as response:
            response.raise_for_status()
            page = await response.json()
        for document in page["data"]:
            if document["metadata"].get("run") == run:
                found[document["id"]] = document
        if not page["has_more"]:
            return found
        parameters = parameters | {"cursor": page["next_cursor"]}


async def timeline_shown(stack: Stack, session: aiohttp.ClientSession, order_id: str) -> list[TimelineRow]:
    """Return the timeline of one order."""
    url = f"{stack.query_api}/api/v1/orders/{order_id}/timeline"
    async with session.get(url, headers=stack.authorization) as response:
        response.raise_for_status()
        page = await response.json()
    return [TimelineRow(order_id, entry["sequence"]) for entry in page["data"]]


def order_row(document: Any) -> OrderRow:
    """Return the checker's view of an order document."""
    return OrderRow(document["id"], document["version"], document["status"], document["total"]["amount_minor"])
