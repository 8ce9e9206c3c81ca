"""The query service in this process over PostgreSQL, and builders of what it reads."""

import base64
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson
from pydantic import SecretStr
from sqlalchemy import Table, insert

from infra import clock
from infra.http.app import ServiceApp
from infra.partitioning import partition_of
from infra.postgres.sql import compiled
from infra.settings import (
    KafkaSettings,
    LimitSettings,
    PostgresSettings,
    PublicSettings,
    QueryApiSettings,
    RedisSettings,
    SecuritySettings,
)
from projections.tables import order_timeline, orders
from query_api.app import Settings, create_app
from query_api.freshness import VERSIONS
from tests.support.services.command_service import insert_key
from tests.support.services.servers import Database
from tests.support.services.small_service import client_of
from tests.support.waiting import eventually

PEPPER = "p" * 32
PARTITIONS = 12
START = datetime(2026, 11, 23, 1, 2, 3, 123456, tzinfo=UTC)
ORDERS = "/api/v1/orders"
DELIVERIES = "/api/v1/webhook-deliveries"


@dataclass(frozen=True, slots=True)
class OrderRow:
    """A row of the read model; `note` goes into the document."""

    order_id: UUID
    partner_id: str = "acme"
    livemode: bool = False
    version: int = 1
    position: int = 1
    status: str = "pending"
    external_reference: str | None = None
    created_at: datetime = START
    note: str = ""

    @property
    def document(self) -> bytes:
        """Return the stored document."""
        return orjson.dumps({"id": self.order_id, "status": self.status, "note": self.note})


def order_row(number: int = 0, **fields: Any) -> OrderRow:
    """Return an order, created `number` seconds after the first."""
    made = OrderRow(clock.new_id(), created_at=START + timedelta(seconds=number), position=number + 1)
    return replace(made, **fields)


class ReadModels:
    """Writes rows as the projection worker would."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def add_orders(self, *rows: OrderRow) -> None:
        """Insert orders."""
        values = [
            {name: value for name, value in asdict(row).items() if name != "note"}
            | {"partition": partition_of(row.order_id, PARTITIONS), "currency": "EUR", "total_minor": 100}
            | {"updated_at": row.created_at, "document": row.document, "state": b"{}"}
            for row in rows
        ]
        await self._insert(orders, values)

    async def add_events(self, row: OrderRow, count: int = 1) -> None:
        """Insert the timeline of an order."""
        values = [
            {
                "order_id": row.order_id,
                "sequence": sequence,
                "position": row.position + sequence - 1,
                "event_id": clock.new_id(),
                "partner_id": row.partner_id,
                "livemode": row.livemode,
                "type": "order.created" if sequence == 1 else "order.captured",
                "occurred_at": row.created_at,
                "recorded_at": row.created_at,
                "actor": {"type": "api_key", "id": "ABCDEFGH", "key_id": "ABCDEFGH"},
                "from_status": None if sequence == 1 else "authorized",
                "to_status": row.status,
                "reason": row.note or None,
                "changes": {"currency": "EUR", "note": row.note},
                "request_id": "r-1",
                "traceparent": None,
            }
            for sequence in range(1, count + 1)
        ]
        await self._insert(order_timeline, values)

    async def add_delivery(self, tenant_id: str, state: str = "pending", note: str = "", **fields: UUID) -> UUID:
        """Insert a webhook delivery with one attempt; give its id."""
        delivery_id = clock.new_id()
        endpoint_id = fields.get("endpoint_id") or clock.new_id()
        await self._connection.execute(
            """
            INSERT INTO harbor.webhook_deliveries (delivery_id, endpoint_id, event_id, tenant_id, order_id, event_type,
                sequence, position, payload, recorded_at, state, last_outcome, attempt_count)
            VALUES ($1, $2, $3, $4, $5, 'order.created', 1, 1, 'snapshot', $6, $7, $8, 1)
            """,
            delivery_id, endpoint_id, clock.new_id(), tenant_id, clock.new_id(), START, state, note or None,
        )  # fmt: skip
        await self._connection.execute(
            "INSERT INTO harbor.webhook_attempts VALUES ($1, $2, 1, $3, 12, 'refused', 500, $4)",
            clock.new_id(), delivery_id, START, note.encode(),
        )  # fmt: skip
        return delivery_id

    async def log_reaches(self, head: int) -> None:
        """Put one batch of events up to `head` into the ledger, and tell who listens."""
        await self._connection.execute(
            """
            INSERT INTO harbor.batches SELECT 0, coalesce(max(last_position), 0) + 1, $1::bigint,
                $1::bigint - coalesce(max(last_position), 0), clock_timestamp() FROM harbor.batches
            """,
            head,
        )
        await self._connection.execute("SELECT pg_notify('harbor_events', $1)", f"1 {head}")

    async def apply(self, partition: int, last_position: int, applied: int, *, is_told: bool = True) -> None:
        """Move the checkpoints of one partition as the worker does; `is_told` whether it notifies."""
        for projection, version in VERSIONS.items():
            await self._connection.execute(
                """
                INSERT INTO harbor.checkpoints (projection, version, partition, last_position, applied_count)
                VALUES ($1, $2, $3, $4, $5) ON CONFLICT (projection, version, partition)
                DO UPDATE SET last_position = excluded.last_position, applied_count = excluded.applied_count
                """,
                projection, version, partition, last_position, applied,
            )  # fmt: skip
        if is_told:
            moves = ";".join(
                f"{name} {version} {partition} {last_position} {applied}" for name, version in VERSIONS.items()
            )
            await self._connection.execute("SELECT pg_notify('harbor_projected', $1)", moves)

    async def execute(self, statement: str) -> None:
        """Run a statement as administrator."""
        await self._connection.execute(statement)

    async def _insert(self, table: Table, values: list[dict[str, Any]]) -> None:
        for row in values:
            query = compiled(insert(table).values(**row))
            await self._connection.execute(query.sql, *query.arguments())


@dataclass(frozen=True, slots=True)
class QueryService:
    """The running service, what it reads, and a way to make keys."""

    app: ServiceApp
    http: httpx.AsyncClient
    rows: ReadModels
    admin: "asyncpg.Connection[asyncpg.Record]"

    async def key(
        self, partner_id: str | None = "acme", *, livemode: bool = False, scopes: Iterable[str] | None = None
    ) -> dict[str, str]:
        """Make a key and return the header that carries it."""
        text = await insert_key(self.admin, partner_id, scopes, livemode=livemode)
        return {"authorization": f"Bearer {text}"}

    async def get(self, path: str, key: dict[str, str], **headers: str) -> httpx.Response:
        """Get a path with a key; further headers by name with `_` for `-`."""
        return await self.http.get(
            path, headers=key | {name.replace("_", "-"): value for name, value in headers.items()}
        )

    async def pages(self, path: str, key: dict[str, str]) -> list[list[Any]]:
        """Walk a list by its links and return the items of each page."""
        pages, url = [], path
        while url:
            answer = await self.http.get(url, headers=key)
            pages.append(answer.json()["data"])
            url = answer.links.get("next", {}).get("url", "")
        return pages

    async def settled(self) -> None:
        """Wait until the service knows how fresh it is."""

        async def knows() -> bool:
            metrics = (await self.http.get("/metrics")).text
            return 'harbor_query_lag_seconds{projection="orders"} NaN' not in metrics

        await eventually(knows)


def query_settings(database: Database, **service: Any) -> Settings:
    """Return the settings of a query service over a database."""
    return Settings(
        service=QueryApiSettings(**service),
        postgres=PostgresSettings(url=SecretStr(database.query_url)),
        security=SecuritySettings(
            api_key_pepper=SecretStr(PEPPER),
            cursor_secret=SecretStr("c" * 32),
            webhook_secrets_key=SecretStr(base64.b64encode(b"w" * 32).decode()),
        ),
        kafka=KafkaSettings(),
        redis=RedisSettings(),
        limits=LimitSettings(),
        public=PublicSettings(),
    )


@asynccontextmanager
async def query_service(database: Database, **service: Any) -> AsyncIterator[QueryService]:
    """Run the service as `python -m query_api` would; `service` are fields of its settings."""
    app = create_app(query_settings(database, **service))
    admin = await asyncpg.connect(database.admin_url)
    try:
        async with client_of(app) as client:
            running = QueryService(app, client, ReadModels(admin), admin)
            await running.settled()
            yield running
    finally:
        await admin.close()
