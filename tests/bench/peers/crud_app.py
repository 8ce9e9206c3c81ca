"""Peer: the usual CRUD service. FastAPI, SQLAlchemy 2 (async ORM on asyncpg), one transaction per request.

Order, lines and a row that makes the idempotency key unique and keeps the response, in one commit. The happy path does
not look the key up first: only when the unique constraint is violated, the stored response is read. BENCH_DATABASE_URL
(`postgresql+asyncpg://...`) is the address. No API keys, no events, no log lines: this program does less than ours.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import FastAPI, Header, Response
from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import DateTime

from tests.bench.load.requests import CREATE_PATH
from tests.bench.peers.order_models import LineOut, OrderIn, OrderOut, minor

POOL_SIZE = 20
"""Rather more than the default 5 + 10: this peer shall not lose for want of connections."""


class Base(DeclarativeBase):
    """The tables."""


class OrderRow(Base):
    """An order."""

    __tablename__ = "orders"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(String(32))
    currency: Mapped[str] = mapped_column(String(3))
    customer_email: Mapped[str] = mapped_column(String(254))
    total_minor: Mapped[int]
    details: Mapped[dict[str, str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    lines: Mapped[list["LineRow"]] = relationship()


class LineRow(Base):
    """A line of an order."""

    __tablename__ = "order_lines"

    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    line_id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(String(64))
    quantity: Mapped[int]
    unit_price_minor: Mapped[int]


class KeyRow(Base):
    """The response recorded under an idempotency key."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    response: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


engine = create_async_engine(os.environ["BENCH_DATABASE_URL"], pool_size=POOL_SIZE, max_overflow=0)
sessions = async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Make the tables."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/readyz")
async def readyz() -> dict[str, str]:
    """Respond once the tables exist."""
    return {"status": "ready"}


@app.post(CREATE_PATH, status_code=201)
async def create_order(asked: OrderIn, idempotency_key: Annotated[str, Header()]) -> Response:
    """Create an order, once per key."""
    order = _order(asked)
    response = _response(order).model_dump_json()
    try:
        async with sessions.begin() as session:
            session.add(order)
            session.add(KeyRow(key=idempotency_key, response=response, created_at=order.created_at))
    except IntegrityError:
        async with sessions() as session:
            known = await session.get_one(KeyRow, idempotency_key)
        response = known.response
    return Response(response, 201, media_type="application/json")


def _order(asked: OrderIn) -> OrderRow:
    order_id = uuid4()
    return OrderRow(
        id=order_id,
        status="pending",
        currency=asked.currency,
        customer_email=asked.customer_email,
        total_minor=asked.total_minor,
        details=asked.metadata,
        created_at=datetime.now(UTC),
        lines=[
            LineRow(
                order_id=order_id,
                line_id=number,
                sku=line.sku,
                quantity=line.quantity,
                unit_price_minor=minor(line.unit_price),
            )
            for number, line in enumerate(asked.lines, 1)
        ],
    )


def _response(order: OrderRow) -> OrderOut:
    return OrderOut(
        id=order.id,
        status=order.status,
        currency=order.currency,
        customer_email=order.customer_email,
        total_minor=order.total_minor,
        lines=[
            LineOut(line_id=line.line_id, sku=line.sku, quantity=line.quantity, unit_price_minor=line.unit_price_minor)
            for line in order.lines
        ],
        metadata=order.details,
    )
