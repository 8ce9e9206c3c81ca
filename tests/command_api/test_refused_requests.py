"""A refused request leaves its key free and gets nothing back of what it sent.

That each has its catalogued code, is small and writes nothing is proven by tests/test_hostile_requests.py.
"""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from infra.settings import CommandApiSettings
from tests.support.orders.builders import order_body
from tests.support.requests.refused_changes import REFUSED_CHANGES
from tests.support.requests.refused_requests import REFUSED, Refused
from tests.support.services.command_service import BATCH, ORDERS, Service, memory_service

DEADLINE_S = 4.0
"""Bodies have 60 % of it: enough is left behind them that a machine that stalls a while does not skip their end."""


async def test_a_body_that_stops_coming_is_a_408_of_its_own_before_the_request_is_out_of_time() -> None:
    async def half() -> AsyncIterator[bytes]:
        yield b'{"currency":'
        await asyncio.Event().wait()

    headers = {"idempotency-key": "k", "content-type": "application/json"}
    async with memory_service(settings=CommandApiSettings(request_deadline_s=DEADLINE_S)) as service:
        late = await service.http.post(ORDERS, content=half(), headers=headers)
    async with memory_service(service.store) as patient:
        whole = await patient.post(body=order_body(), key="k")

    assert (late.status_code, late.json()["code"], late.json()["retryable"]) == (408, "body_timeout", True)
    assert whole.status_code == 201


async def test_a_refusal_for_syntax_leaves_the_key_free_for_the_mended_request(service: Service) -> None:
    for refused in [*list(REFUSED.values())[:40], *REFUSED_CHANGES.values()]:
        await send(service, refused)

    mended = await service.post(body=GOOD, key="k-1")

    assert mended.status_code == 201


async def test_nothing_that_was_sent_comes_back(service: Service) -> None:
    canary = "canary7f3a9"
    bodies: list[dict[str, object]] = [
        GOOD | {canary: 1},
        GOOD | {"currency": canary},
        GOOD | {"customer_email": f"\n{canary}"},
        GOOD | {"external_reference": f"\x01{canary}"},
        GOOD | {"metadata": {canary: 1}},
        GOOD | {"metadata": {f"{canary} ": "x"}},
        GOOD | {"lines": [{"sku": f"{canary}\x01", "quantity": 1, "unit_price": canary}]},
        GOOD | {"lines": [{canary: 1}]},
    ]

    for body in bodies:
        answer = await service.post(body=body)
        assert answer.status_code == 422
        assert canary.encode() not in answer.content


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", ORDERS, "POST"), ("PATCH", BATCH, "POST"), ("GET", "/api/v1/api-keys/Abcd1234/revoke", "POST")],
)
async def test_405_names_the_methods_of_the_address(service: Service, method: str, path: str, allowed: str) -> None:
    answer = await service.http.request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


GOOD: dict[str, object] = {
    "customer_email": "buyer@example.com",
    "currency": "EUR",
    "lines": [{"sku": "a", "quantity": 1, "unit_price": "1.00"}],
}


async def send(service: Service, refused: Refused) -> httpx.Response:
    headers = dict(refused.headers)
    request = service.http.build_request(
        refused.method,
        refused.path,
        content=refused.body,
        headers=[(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
    )
    if headers.get("authorization") == "":
        del request.headers["authorization"]
    return await service.http.send(request)
