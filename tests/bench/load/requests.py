"""The requests of the generator. Every target creates the same order of three lines, under ever new keys."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Final, Literal

import orjson

from tests.bench.report.model import Frozen

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

Source = Callable[[], bytes | None]
"""Returns the bytes of the next request; None: there is none left."""


class RequestPlan(Frozen):
    """Which requests a generator sends.

    Attributes:
        kind: `fresh`: `path` again and again, each with a new key; `keys`: `path` with each listed key, once;
            `repeated keys`: the same, round and round; `paths`: each listed path once, with a new key;
            `repeated paths`: the same, round and round;
            `batches`: `path` again and again, each with `orders` orders, each of them with a new key.
        path: of all but `paths`.
        listed: keys or paths.
        body: JSON, or nothing; of `batches` that of one order.
        orders: how many commands one request carries.
        api_key: for the Authorization header; targets that ignore it get it all the same.
    """

    kind: Literal["fresh", "keys", "repeated keys", "paths", "repeated paths", "batches"] = "fresh"
    path: str = CREATE_PATH
    listed: tuple[str, ...] = ()
    method: Literal["GET", "POST", "PATCH"] = "POST"
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
        case "repeated paths":
            left = cycle(_each(plan, plan.listed))
    return lambda: next(left, None)


def new_key() -> bytes:
    """Return a random idempotency key, as clients send them."""
    return secrets.token_hex(16).encode()


def new_keys(count: int) -> tuple[str, ...]:
    """Return so many random keys."""
    return tuple(new_key().decode() for _ in range(count))


def _each(plan: RequestPlan, paths: Sequence[str]) -> Iterator[bytes]:
    for path in paths:
        before, after = _around_key(path, plan)
        yield b"%b%b%b" % (before, new_key(), after)


def _batch(plan: RequestPlan) -> bytes:
    items = b",".join([b'{"idempotency_key":"%b","order":%b}' % (new_key(), plan.body) for _ in range(plan.orders)])
    before, after = _around_key(plan.path, plan.model_copy(update={"body": b'{"orders":[%b]}' % items}))
    return b"%b%b%b" % (before, new_key(), after)


def _around_key(path: str, plan: RequestPlan) -> tuple[bytes, bytes]:
    """Return what comes before the idempotency key of a request, and what comes after it."""
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
