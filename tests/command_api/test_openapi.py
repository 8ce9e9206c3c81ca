"""The OpenAPI document is declared by the models that do the work, and what it declares is what happens."""

import re
from typing import Any

import jsonschema
import pytest

from command_api.openapi import document
from tests.support.orders.batches import batch, item, told
from tests.support.orders.builders import order_body
from tests.support.requests.refused_changes import REFUSED_CHANGES
from tests.support.requests.refused_requests import REFUSED
from tests.support.services.command_service import BATCH, ORDERS, Service

Document = dict[str, Any]
API_KEYS = "/api/v1/api-keys"
ENDPOINTS = "/api/v1/webhook-endpoints"
OPERATIONS = [
    (path, method) for path, methods in document()["paths"].items() if path.startswith(ORDERS) for method in methods
]


@pytest.fixture(scope="module")
def openapi() -> Document:
    return document()


def schema(openapi: Document, name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}", "components": openapi["components"]}


def test_the_page_says_which_changes_take_a_key_and_which_need_none(openapi: Document) -> None:
    with_key: set[tuple[str, str]] = set()
    without: set[tuple[str, str]] = set()
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            named = {each["name"] for each in operation.get("parameters", ())}
            place = with_key if "Idempotency-Key" in named else without
            place.update(set() if method == "get" else {(method, path)})

    assert {path for _, path in with_key if not path.startswith(ORDERS)} == {API_KEYS, f"{API_KEYS}/{{key_id}}/rotate"}
    assert without == {
        ("post", BATCH),  # in each item
        ("post", ENDPOINTS),
        ("delete", f"{ENDPOINTS}/{{endpoint_id}}"),
        ("post", "/api/v1/webhook-deliveries/{delivery_id}/resend"),
        ("post", f"{API_KEYS}/{{key_id}}/revoke"),
    }
    description = openapi["info"]["description"]
    assert "Every change of an order, and making or rotating an API key, takes an `Idempotency-Key`" in description
    assert "`POST /api/v1/webhook-endpoints` makes a second one" in description
    assert "Every command carries" not in description


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_operation_declares_its_headers_scopes_and_errors(openapi: Document, path: str, method: str) -> None:
    operation = openapi["paths"][path][method]
    parameters = {parameter["name"]: parameter["required"] for parameter in operation["parameters"]}

    assert parameters.items() >= {"X-Request-ID": False, "traceparent": False}.items()
    assert parameters.get("Idempotency-Key", False) is (path != BATCH), "the orders of a batch have keys of their own"
    assert operation["x-required-scopes"]
    assert operation["security"]
    for status, answer in operation["responses"].items():
        assert set(answer["content"]) == {"application/json" if status < "300" else "application/problem+json"}
    [success] = [answer for status, answer in operation["responses"].items() if status < "300"]
    of_an_order = set() if path == BATCH else {"ETag", "Consistency-Token", "Idempotency-Replayed"}
    assert set(success["headers"]) >= {"X-Request-ID", "RateLimit", "RateLimit-Policy"} | of_an_order


async def test_the_answers_of_a_batch_fit_the_declared_schema(service: Service, openapi: Document) -> None:
    items = [item("a", external_reference="PO-1"), item("b", external_reference="PO-1"), item("c", lines=[]), {}]

    answer = await service.post(BATCH, batch(*items))

    assert [status for status, _ in told(answer)] == [201, 409, 422, 400]
    jsonschema.validate(answer.json(), schema(openapi, "BatchDocument"))
    described = openapi["paths"][BATCH]["post"]["responses"]["207"]["description"]
    assert all(f"{status} `{code}`" in described for status, code in told(answer) if code is not None)


ORDER = f"{ORDERS}/{{order_id}}"
EDITS = {(f"{ORDER}/amendments", "post"), (ORDER, "patch")}


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_whatever_is_done_to_an_order_takes_if_match_and_edits_require_it(
    openapi: Document, path: str, method: str
) -> None:
    operation = openapi["paths"][path][method]
    required = {parameter["name"]: parameter["required"] for parameter in operation["parameters"]}

    assert ("If-Match" in required, "412" in operation["responses"]) == 2 * ("{order_id}" in path,)
    assert (required.get("If-Match", False), "428" in operation["responses"]) == 2 * ((path, method) in EDITS,)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
async def test_the_examples_of_an_operation_are_accepted(
    service: Service, openapi: Document, path: str, method: str
) -> None:
    content = openapi["paths"][path][method].get("requestBody", {}).get("content", {}).get("application/json", {})
    for name, example in content.get("examples", {}).items():
        lines = [{"sku": "a", "quantity": 5, "unit_price": "20.00"}, {"sku": "b", "quantity": 1, "unit_price": "5.00"}]
        order_id = (await service.post(body=order_body(lines=lines))).json()["id"]
        seen = '"1"'
        if path.endswith("captures"):
            seen = (await service.post(f"{ORDERS}/{order_id}/authorize")).headers["etag"]

        answer = await service.send(method.upper(), path.format(order_id=order_id), example["value"], If_Match=seen)

        assert answer.status_code == 200, name


def test_every_refusal_is_declared_where_it_is_answered(openapi: Document) -> None:
    for name, refused in (REFUSED | REFUSED_CHANGES).items():
        path = refused.path if refused.path in {ORDERS, BATCH} else re.sub(rf"{ORDERS}/[^/]+", ORDER, refused.path)
        operation = openapi["paths"].get(path, {}).get(refused.method.lower())
        if operation is not None:
            assert f"`{refused.code}`" in operation["responses"][str(refused.status)]["description"], name
