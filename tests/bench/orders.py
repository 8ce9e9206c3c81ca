"""The request every target gets: create one order of three lines. The bytes differ in the idempotency key alone."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Final, Literal

import orjson

from tests.bench.model import Frozen

CREATE_PATH: Final = "/api/v1/orders"
BATCH_PATH: Final = "/api/v1/orders/batch"
ORDER: Final = {
    "customer_email": "buyer@example.com",
    "currency": "EUR",
    "lines": [
        {"sku": "85123A", "quantity": 6, "unit_price": "2.55"},
        {"sku": "71053", "quantity": 6, "unit_price": "3.39"},
        {"sku": "84406B", "quantity": 8, "unit_price": "2.75"},
    ],
    "metadata": {"channel": "web"},
}
ORDER_BODY: Final = orjson.dumps(ORDER)
AUTHORIZED: Final = orjson.dumps({"status": "authorized"})
"""The body that brings an order to a status."""

Source = Callable[[], bytes | None]
"""Gives the bytes of the next request; None: there is none left."""


class RequestPlan(Frozen):
    """Which requests a generator sends.

    Attributes:
        kind: `fresh`: `path` again and again, each with a new key; `keys`: `path` with each listed key, once;
            `repeated keys`: the same, round and round; `paths`: each listed path once, with a new key;
            `batches`: `path` again and again, each with `orders` orders, each of them with a new key.
        path: of all but `paths`.
        listed: keys or paths.
        body: JSON, or nothing; of `batches` that of one order.
        orders: how many commands one request carries.
        method: POST, or PATCH.
        api_key: for the Authorization header; targets that do not look at it get it all the same.
    """

    kind: Literal["fresh", "keys", "repeated keys", "paths", "batches"] = "fresh"
    path: str = CREATE_PATH
    listed: tuple[str, ...] = ()
    method: Literal["POST", "PATCH"] = "POST"
    body: bytes = ORDER_BODY
    orders: int = 1
    api_key: str = ""


def source(plan: RequestPlan) -> Source:
    """Return what makes the requests of a plan, one per call."""
    match plan.kind:
        case "fresh":
            before, after = _around_key(plan.path, plan)
            return lambda: b"%b%b%b" % (before, new_key(), after)
        case "batches":
            return lambda: _batch(plan)
        case "keys" | "repeated keys":
            before, after = _around_key(plan.path, plan)
            made = [b"%b%b%b" % (before, key.encode(), after) for key in plan.listed]
            left = iter(made) if plan.kind == "keys" else cycle(made)
        case "paths":
            left = _each(plan, plan.listed)
    return lambda: next(left, None)


def new_key() -> bytes:
    """Return a random idempotency key, as clients send them."""
    return secrets.token_hex(16).encode()


def _each(plan: RequestPlan, paths: Sequence[str]) -> Iterator[bytes]:
    for path in paths:
        before, after = _around_key(path, plan)
        yield b"%b%b%b" % (before, new_key(), after)


def _batch(plan: RequestPlan) -> bytes:
    items = b",".join([b'{"idempotency_key":"%b","order":%b}' % (new_key(), plan.body) for _ in range(plan.orders)])
    body = b'{"orders":[%b]}' % items
    before, after = _around_key(plan.path, plan.model_copy(update={"body": body}))
    return b"%b%b%b" % (before, new_key(), after)


def _around_key(path: str, plan: RequestPlan) -> tuple[bytes, bytes]:
    """Return the request in front of its idempotency key and behind it."""
    before = (
        f"{plan.method} {path} HTTP/1.1\r\n"
        "Host: localhost\r\n"
        f"Authorization: Bearer {plan.api_key}\r\n"
        "Accept: application/json\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(plan.body)}\r\n"
        "Idempotency-Key: "
    )
    return before.encode("ascii"), b"\r\n\r\n" + plan.body
