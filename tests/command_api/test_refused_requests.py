"""A refused request leaves its key free and gets nothing back of what it sent.

That each has its catalogued code, is small and writes nothing is proven by tests/test_hostile_requests.py.
"""

import httpx
import pytest

from tests.support.requests.refused_changes import REFUSED_CHANGES
from tests.support.requests.refused_requests import REFUSED, Refused
from tests.support.services.command_service import BATCH, ORDERS, Service


async def test_a_refusal_for_syntax_leaves_the_key_free_for_the_corrected_request(service: Service) -> None:
    for refused in [*list(REFUSED.values())[:40], *REFUSED_CHANGES.values()]:
        await send(service, refused)

    mended = await service.post(body=GOOD, key="k-1")

    assert mended.status_code == 201


async def test_nothing_that_was_sent_comes_back_but_short_and_plain_names(service: Service) -> None:
    canary = "canary7f3a9"
    bodies: list[dict[str, object]] = [
        GOOD | {f"<{canary}>": 1},
        GOOD | {canary * 4: 1},
        GOOD | {"currency": canary},
        GOOD | {"customer_email": f"\n{canary}"},
        GOOD | {"external_reference": f"\x01{canary}"},
        GOOD | {"metadata": {"a": [canary]}},
        GOOD | {"metadata": {f"{canary}\n": 1}},
        GOOD | {"metadata": {f'{canary}"': "x"}},
        GOOD | {"lines": [{"sku": f"{canary}\x01", "quantity": 1, "unit_price": canary}]},
        GOOD | {"lines": [{f"{canary}'": 1}]},
    ]

    for body in bodies:
        answer = await service.post(body=body)
        assert answer.status_code == 422
        assert canary.encode() not in answer.content


async def test_a_pointer_leads_to_the_field_or_key_as_far_as_its_name_is_short_and_plain(service: Service) -> None:
    body = GOOD | {"metadata": {"a/b~c d": "x", "ok": " ", "x" * 41: "y", "n": 1}, "colour": "red", "<i>": 1, "<b>": 1}

    answer = await service.post(body=body)

    assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [
        ("", "unknown_field"),
        ("/metadata", "metadata_key"),
        ("/metadata/a~1b~0c d", "metadata_key"),
        ("/metadata/ok", "text_blank"),
        ("/metadata/n", "wrong_type"),
        ("/colour", "unknown_field"),
    ]


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
