"""The OpenAPI document is declared by the models that do the work, and what it declares is what happens."""

import re
from typing import Any

import jsonschema
import pytest

from command_api import catalogue
from command_api.catalogue import FIELD_CODES
from command_api.openapi import document
from infra.http import problems
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


async def test_answers_fit_the_declared_schemas(service: Service, openapi: Document) -> None:
    created = await service.post(body=order_body(external_reference="PO-1", metadata={"a": "b"}))
    path = f"{ORDERS}/{created.json()['id']}"
    refused = await service.post(f"{path}/captures")
    invalid = await service.post(body={})
    verbs = [await service.post(f"{path}/{verb}") for verb in ("authorize", "captures")]

    sometimes = {"idempotency-replayed", "location", "ratelimit", "ratelimit-policy"}
    for answer in (created, *verbs):
        jsonschema.validate(answer.json(), schema(openapi, "Order"))
        declared = openapi["paths"][ORDERS]["post"]["responses"]["201"]["headers"]
        assert {name.lower() for name in declared} - sometimes <= set(answer.headers)
    for answer in (refused, invalid):
        jsonschema.validate(answer.json(), schema(openapi, "Problem"))


async def test_the_answers_of_a_batch_fit_the_declared_schema(service: Service, openapi: Document) -> None:
    items = [item("a", external_reference="PO-1"), item("b", external_reference="PO-1"), item("c", lines=[]), {}]

    answer = await service.post(BATCH, batch(*items))

    assert [status for status, _ in told(answer)] == [201, 409, 422, 400]
    jsonschema.validate(answer.json(), schema(openapi, "BatchDocument"))
    described = openapi["paths"][BATCH]["post"]["responses"]["207"]["description"]
    assert all(f"{status} `{code}`" in described for status, code in told(answer) if code is not None)


def test_what_the_schema_of_a_batch_refuses(openapi: Document) -> None:
    validator = jsonschema.Draft202012Validator(schema(openapi, "BatchBody"))

    assert validator.is_valid(batch(item("k")))
    for body in (batch(), batch(*[item("k")] * 501), batch(item("a b")), batch(item("k", lines=[])), batch({})):
        assert not validator.is_valid(body)


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


async def test_what_the_schema_of_a_new_order_refuses_the_route_refuses(service: Service, openapi: Document) -> None:
    validator = jsonschema.Draft202012Validator(schema(openapi, "CreateOrderBody"))
    bodies: list[Document] = [
        order_body(lines=[]),
        order_body(colour="red"),
        order_body(currency="eur"),
        order_body(currency=978),
        order_body(lines=[{"sku": "a", "quantity": 0, "unit_price": "1.00"}]),
        order_body(lines=[{"sku": "a", "quantity": 1000, "unit_price": "1.00"}]),
        order_body(lines=[{"sku": "a", "quantity": 1, "unit_price": "1,00"}]),
        order_body(lines=[{"sku": "a", "quantity": 1, "unit_price": 1}]),
        order_body(lines=[{"sku": "", "quantity": 1, "unit_price": "1.00"}]),
        order_body(lines=[{"sku": "a" * 65, "quantity": 1, "unit_price": "1.00"}]),
        order_body(external_reference=""),
        order_body(metadata={"a": 1}),
        {},
    ]

    for body in bodies:
        assert not validator.is_valid(body), body
        assert (await service.post(body=body)).status_code == 422, body
    assert validator.is_valid(order_body())
    assert (await service.post(body=order_body())).status_code == 201


def test_the_catalogue_lists_every_code_of_both_tables_once() -> None:
    lines = catalogue.catalogue_markdown().splitlines()

    for kind in {*problems.CATALOGUE, *catalogue.CATALOGUE}:
        assert sum(line.startswith(f"| {kind.status} | `{kind.code}` |") for line in lines) == 1, kind.code
    assert all(f"| `{code}` |" in "\n".join(lines) for code in FIELD_CODES)
