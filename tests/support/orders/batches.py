"""Batches of orders for tests: bodies, and what their responses hold."""

from typing import Any

import httpx

from tests.support.orders.builders import order_body

Json = dict[str, Any]


def item(key: str, **overrides: object) -> Json:
    """Return one item; `overrides` are of its order."""
    return {"idempotency_key": key, "order": order_body(**overrides)}


def batch(*items: object) -> Json:
    """Return a body of these items."""
    return {"orders": list(items)}


def results(answer: httpx.Response) -> list[Json]:
    """Return the results of a batch, which must have been answered item by item."""
    assert answer.status_code == 207, answer.text
    found: list[Json] = answer.json()["results"]
    return found


def told(answer: httpx.Response) -> list[tuple[int, str | None]]:
    """Return the status and the code of each answer; no code for an order."""
    return [(result["status"], result["body"].get("code")) for result in results(answer)]
