"""Peer: the `eventsourcing` library on its PostgreSQL module, behind FastAPI.

Built the way its documentation and its FastAPI example show: an aggregate with `@event` methods, an `Application` that
saves it, plain (threaded) route functions, the persistence chosen by PERSISTENCE_MODULE and POSTGRES_*. Its defaults
stay: JSON transcoder, a pool of 5 + 10 connections, one aggregate saved in one transaction. It is measured twice: as it
comes, and with POSTGRES_ENABLE_DB_FUNCTIONS, which inserts by functions in the database. It has no notion of an
idempotency key or an API key, so this program does less than ours.
"""

from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from fastapi import FastAPI

from tests.bench.load.requests import CREATE_PATH
from tests.bench.peers.order_models import LineOut, OrderIn, OrderOut, minor

StoredLine = dict[str, str | int]


class Order(Aggregate):
    """An order whose events hold what was asked for."""

    @event("Created")
    def __init__(
        self, customer_email: str, currency: str, lines: list[StoredLine], metadata: dict[str, str], total_minor: int
    ) -> None:
        self.customer_email = customer_email
        self.currency = currency
        self.lines = lines
        self.metadata = metadata
        self.total_minor = total_minor
        self.status = "pending"


class Orders(Application[UUID]):
    """The application."""

    def create(self, asked: OrderIn) -> Order:
        """Create an order durably."""
        lines: list[StoredLine] = [
            {
                "line_id": number,
                "sku": line.sku,
                "quantity": line.quantity,
                "unit_price_minor": minor(line.unit_price),
            }
            for number, line in enumerate(asked.lines, 1)
        ]
        order = Order(asked.customer_email, asked.currency, lines, asked.metadata, asked.total_minor)
        self.save(order)
        return order


app = FastAPI()
orders = Orders()


@app.get("/readyz")
def readyz() -> dict[str, str]:
    """Respond once the tables exist."""
    return {"status": "ready"}


@app.post(CREATE_PATH, status_code=201)
def create_order(asked: OrderIn) -> OrderOut:
    """Create an order."""
    order = orders.create(asked)
    return OrderOut(
        id=order.id,
        status=order.status,
        currency=order.currency,
        customer_email=order.customer_email,
        total_minor=order.total_minor,
        lines=[LineOut.model_validate(line) for line in order.lines],
        metadata=order.metadata,
    )
