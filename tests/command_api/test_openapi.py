"""What the OpenAPI document says of keys, versions, examples and refusals; conformance is proven for every route."""

import re
from typing import Any

import pytest

from command_api.openapi import document
from tests.support.requests.refused_changes import REFUSED_CHANGES
from tests.support.requests.refused_requests import REFUSED
from tests.support.services.command_service import BATCH, ORDERS, Service

Document = dict[str, Any]
API_KEYS = "/api/v1/api-keys"
ENDPOINTS = "/api/v1/webhook-endpoints"
ORDER = f"{ORDERS}/{{order_id}}"
EDITS = {(f"{ORDER}/amendments", "post"), (ORDER, "patch")}
OPENAPI: Document = document()
EVERY_OPERATION = pytest.mark.parametrize(
    ("path", "method"),
    [(path, method) for path, methods in OPENAPI["paths"].items() if path.startswith(ORDERS) for method in methods],
)


def test_the_page_says_which_changes_take_a_key_and_which_need_none() -> None:
    with_key: set[tuple[str, str]] = set()
    without: set[tuple[str, str]] = set()
    for path, methods in OPENAPI["paths"].items():
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
    description = OPENAPI["info"]["description"]
    assert "Every change of an order, and making or rotating an API key, takes an `Idempotency-Key`" in description
    assert "`POST /api/v1/webhook-endpoints` makes a second one" in description
    assert "Every command carries" not in description


@EVERY_OPERATION
def test_a_change_of_an_order_takes_a_key_and_if_match_and_returns_the_new_version(path: str, method: str) -> None:
    operation = OPENAPI["paths"][path][method]
    required = {parameter["name"]: parameter["required"] for parameter in operation["parameters"]}
    [success] = [answer for status, answer in operation["responses"].items() if status < "300"]

    assert required.get("Idempotency-Key", False) is (path != BATCH), "the orders of a batch have keys of their own"
    assert ("If-Match" in required, "412" in operation["responses"]) == 2 * ("{order_id}" in path,)
    assert (required.get("If-Match", False), "428" in operation["responses"]) == 2 * ((path, method) in EDITS,)
    assert {"ETag", "Consistency-Token", "Idempotency-Replayed"} <= set(success["headers"]) or path == BATCH
    for status, answer in operation["responses"].items():
        assert set(answer["content"]) == {"application/json" if status < "300" else "application/problem+json"}


def test_the_refusals_inside_a_batch_are_described() -> None:
    described = OPENAPI["paths"][BATCH]["post"]["responses"]["207"]["description"]

    for refusal in ("409 `duplicate_external_reference`", "422 `validation_failed`", "400 `idempotency_key_required`"):
        assert refusal in described


def examples_of(media: dict[str, Any]) -> dict[str, Any]:
    """Return the examples of a body by their names; one without a name is ""."""
    named = {name: example["value"] for name, example in media.get("examples", {}).items()}
    return named or {"": media["example"]}


EXAMPLES = [
    pytest.param(path, method, name, example, id=f"{operation['operationId']} {name}".strip())
    for path, methods in OPENAPI["paths"].items()
    if path.startswith(ORDERS)
    for method, operation in methods.items()
    for name, example in examples_of(operation["requestBody"]["content"]["application/json"]).items()
]
AUTHORIZE: tuple[str, Any] = ("authorize", None)
BEFORE: dict[str, list[tuple[str, Any]]] = {
    "captures": [AUTHORIZE],
    "void": [AUTHORIZE],
    "refunds": [AUTHORIZE, ("captures", None)],
    "settlements": [AUTHORIZE, ("captures", {"amount": "19.99", "final": False})],
}
"""What happens to the order of the example before an operation can be tried."""


@pytest.mark.parametrize(("path", "method", "name", "example"), EXAMPLES)
async def test_the_example_of_a_response_is_what_the_example_of_the_request_gets(
    service: Service, path: str, method: str, name: str, example: Any
) -> None:
    [new_order] = examples_of(OPENAPI["paths"][ORDERS]["post"]["requestBody"]["content"]["application/json"]).values()
    order_id = (await service.post(body=new_order)).json()["id"]
    seen = '"1"'
    for verb, body in BEFORE.get(path.rpartition("/")[2], []):
        seen = (await service.post(f"{ORDERS}/{order_id}/{verb}", body)).headers["etag"]

    answer = await service.send(method.upper(), path.format(order_id=order_id), example, If_Match=seen)

    [shown] = [each for status, each in OPENAPI["paths"][path][method]["responses"].items() if status < "300"]
    assert lasting(answer.json()) == lasting(examples_of(shown["content"]["application/json"])[name])


def lasting(document: Any) -> Any:
    """Return a document without what is new in each response: ids, times, places in the log."""
    if isinstance(document, list):
        return [lasting(each) for each in document]
    if not isinstance(document, dict):
        return document
    passing = {"id", "location", "consistency_token"} | {name for name in document if name.endswith("_at")}
    return {name: lasting(each) for name, each in document.items() if name not in passing or each is None}


def test_every_refusal_is_declared_at_its_operation() -> None:
    for name, refused in (REFUSED | REFUSED_CHANGES).items():
        path = refused.path if refused.path in {ORDERS, BATCH} else re.sub(rf"{ORDERS}/[^/]+", ORDER, refused.path)
        operation = OPENAPI["paths"].get(path, {}).get(refused.method.lower())
        if operation is not None:
            assert f"`{refused.code}`" in operation["responses"][str(refused.status)]["description"], name
