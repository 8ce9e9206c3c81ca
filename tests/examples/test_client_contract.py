"""The client of examples/harbor_client asks for nothing and reads nothing that the OpenAPI documents do not promise."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from harbor_orders_client import (
    AddLine,
    LineChange,
    LineShare,
    NewLine,
    NewOrder,
    OrderStatus,
    RemoveLine,
    SetPrice,
    SetQuantity,
    batches,
    calls,
    clients,
    documents,
    errors,
    keys,
    ledger,
)
from harbor_orders_client.changes import document_of
from harbor_orders_client.reading import members
from harbor_orders_client.session import Listing
from harbor_orders_client.verbs import AsyncPages, AsyncVerb, Pages, Verb
from harbor_orders_client.wire import Request, Service

OPENAPI: Final = Path(__file__).resolve().parents[2] / "docs" / "openapi"
DOCUMENTS: Final[dict[Service, Any]] = {
    service: json.loads((OPENAPI / f"{service.value}.json").read_text()) for service in Service
}
ID: Final = "019a8b5c-0000-7000-8000-000000000000"
SOON: Final = datetime(2027, 1, 31, tzinfo=UTC)
LINES: Final = [NewLine("SHIP-BELL", 2, "19.99")]
CHANGES: Final = (AddLine("BELL", 1, "1.00"), RemoveLine(1), SetQuantity(1, 2), SetPrice(1, "2.00"))
ORDER: Final = NewOrder("ada@example.com", "EUR", LINES, "PO-1", {"a": "b"})

COMMAND, QUERY = Service.COMMAND, Service.QUERY
SCHEMAS: Final = {
    documents.Order: [(COMMAND, "Order"), (QUERY, "Order")],
    documents.Line: [(COMMAND, "OrderLine"), (QUERY, "OrderLine")],
    documents.Amount: [(COMMAND, "Money"), (QUERY, "Money")],
    documents.TimelineEntry: [(QUERY, "TimelineEntry")],
    documents.Note: [(QUERY, "Note")],
    documents.Actor: [(QUERY, "Actor")],
    documents.WebhookEndpoint: [(COMMAND, "WebhookEndpointDocument")],
    documents.NewWebhookEndpoint: [(COMMAND, "CreatedWebhookEndpointDocument")],
    documents.Resend: [(COMMAND, "ResendDocument")],
    documents.WebhookDelivery: [(QUERY, "Delivery")],
    documents.WebhookDeliveryWithAttempts: [(QUERY, "DeliveryWithAttempts")],
    documents.Attempt: [(QUERY, "Attempt")],
    documents.ApiKey: [(COMMAND, "ApiKeyDocument")],
    documents.NewApiKey: [(COMMAND, "CreatedApiKeyDocument")],
    documents.RotatedApiKey: [(COMMAND, "RotatedApiKeyDocument")],
    documents.KeyActor: [(COMMAND, "KeyActorDocument")],
    documents.ApiKeyEvent: [(COMMAND, "KeyEventDocument")],
    batches.BatchResult: [(COMMAND, "BatchResult")],
    errors.FieldError: [],
}
"""Where each dataclass is promised; that of an error stands inside the schema of a problem."""


def everything_asked() -> list[Request[Any]]:
    """Return every request this client knows, with everything that can be said in it."""
    lists: list[Listing[Any]] = [
        calls.list_orders(status="pending", created_from=None, external_reference="PO-1"),
        calls.list_timeline(ID),
        calls.list_notes(ID),
        calls.list_webhook_deliveries(endpoint_id=ID, status="dead"),
        keys.list_api_keys(partner_id="acme"),
        keys.list_api_key_events("abcd1234"),
    ]
    return [
        calls.create_order("ada@example.com", "EUR", LINES, external_reference="PO-1", metadata={"a": "b"}),
        calls.amend_order(ID, CHANGES, version=1, reason="ordered twice"),
        calls.update_order(ID, version=1, customer_email="a@example.com", external_reference="PO-1", metadata={}),
        calls.add_note(ID, "call before delivery"),
        ledger.authorize_order(ID),
        ledger.capture_order(ID, amount="1.00", final=False),
        ledger.capture_order(ID, lines=[LineShare(1, 1)]),
        ledger.void_order(ID, reason="ordered twice"),
        ledger.cancel_order(ID, reason="ordered twice"),
        ledger.refund_order(ID, amount="1.00", reason="broken"),
        ledger.settle_order(ID, gross="2.00", fee="1.00", net="1.00", value_date=date(2026, 11, 25), batch="b"),
        calls.set_order_status(ID, "canceled", reason="ordered twice"),
        calls.get_order(ID),
        calls.create_webhook_endpoint("https://example.com/webhooks"),
        calls.list_webhook_endpoints(),
        calls.delete_webhook_endpoint(ID),
        calls.get_webhook_delivery(ID),
        calls.resend_webhook_delivery(ID),
        keys.create_api_key(["orders:read"], label="reporting", expires_at=SOON, partner_id="acme"),
        keys.get_api_key("abcd1234"),
        keys.rotate_api_key("abcd1234", overlap_s=60),
        keys.revoke_api_key("abcd1234"),
        *(each.page("cursor") for each in lists),
    ]


def operation(request: Request[Any]) -> dict[str, Any]:
    """Find what OpenAPI says of a request; fails when it is nothing."""
    for path, operations in DOCUMENTS[request.service]["paths"].items():
        pattern = [None if part.startswith("{") else part for part in path.split("/")]
        parts = request.path.split("/")
        if len(parts) == len(pattern) and all(want in {None, part} for want, part in zip(pattern, parts, strict=True)):
            found = operations.get(request.method.lower())
            if found is not None:
                return dict(found)
    raise AssertionError(f"{request.service} has no {request.method} {request.path}")


def properties(service: Service, name: str) -> dict[str, Any]:
    """Return the members of a schema."""
    return dict(DOCUMENTS[service]["components"]["schemas"][name]["properties"])


@pytest.mark.parametrize("request_", everything_asked(), ids=lambda request: f"{request.method} {request.path}")
def test_every_request_exists_with_its_parameters_headers_and_body(request_: Request[Any]) -> None:
    promised = operation(request_)

    names = {(each["in"], each["name"].lower()) for each in promised.get("parameters", [])}
    assert {("query", name) for name in request_.query} <= names
    required = {(each["in"], each["name"].lower()) for each in promised.get("parameters", []) if each["required"]}
    assert ("if-match" in request_.headers) == (("header", "if-match") in required)
    assert (request_.idempotency_key is not None) == (("header", "idempotency-key") in names)
    if request_.content:
        schema = promised["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert json.loads(request_.content).keys() <= properties(request_.service, schema).keys()


@pytest.mark.parametrize("request_", everything_asked(), ids=lambda request: f"{request.method} {request.path}")
def test_every_answer_is_read_as_what_is_promised(request_: Request[Any]) -> None:
    [success] = [answer for status, answer in operation(request_)["responses"].items() if status.startswith("2")]
    if "content" not in success:
        assert request_.method == "DELETE"
        return
    schema = success["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    known = {name for places in SCHEMAS.values() for service, name in places if service is request_.service}
    assert schema in known | {
        "OrderPage",
        "TimelinePage",
        "NotePage",
        "DeliveryPage",
        "WebhookEndpointList",
        "ApiKeyList",
        "KeyEventList",
    }


@pytest.mark.parametrize("kind", SCHEMAS, ids=lambda kind: kind.__name__)
def test_every_member_that_is_read_is_promised_and_required(kind: type) -> None:
    for service, name in SCHEMAS[kind]:
        required = DOCUMENTS[service]["components"]["schemas"][name]["required"]
        assert {each.name for each in members(kind)} <= set(required), name


def test_every_dataclass_of_the_answers_is_held_to_a_schema() -> None:
    kinds = {kind for kind in vars(documents).values() if dataclasses.is_dataclass(kind)}
    assert kinds <= SCHEMAS.keys()


@pytest.mark.parametrize("kind", [kind for kind in SCHEMAS if kind not in {batches.BatchResult, errors.FieldError}])
def test_nothing_that_is_promised_is_left_unread_without_a_reason(kind: type) -> None:
    for service, name in SCHEMAS[kind]:
        assert properties(service, name).keys() - {each.name for each in members(kind)} <= {"object"}, name


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_every_change_of_a_line_is_what_is_promised(change: LineChange) -> None:
    schemas = {
        AddLine: "AddLineBody",
        RemoveLine: "RemoveLineBody",
        SetQuantity: "SetQuantityBody",
        SetPrice: "SetPriceBody",
    }
    assert document_of(change).keys() == properties(COMMAND, schemas[type(change)]).keys()


def test_everything_the_api_does_the_client_does() -> None:
    asked = {operation(request)["operationId"] for request in everything_asked()} | {"create_orders"}
    promised = {
        found["operationId"]
        for document in DOCUMENTS.values()
        for operations in document["paths"].values()
        for found in operations.values()
    }
    assert promised == asked


def test_the_body_of_a_batch_is_what_is_promised() -> None:
    item: dict[str, Any] = {"idempotency_key": ORDER.idempotency_key, "order": ORDER.document()}
    assert item.keys() == properties(COMMAND, "BatchOrderBody").keys()
    assert item["order"].keys() == properties(COMMAND, "CreateOrderBody").keys()
    assert item["order"]["lines"][0].keys() == properties(COMMAND, "LineBody").keys()
    assert DOCUMENTS[COMMAND]["paths"][batches.BATCH]["post"]
    assert properties(COMMAND, "BatchBody")["orders"]["maxItems"] == batches.MAX_ORDERS


def test_the_known_statuses_are_those_of_the_api() -> None:
    assert [*OrderStatus] == DOCUMENTS[COMMAND]["components"]["schemas"]["Status"]["enum"]


def test_every_status_of_a_refusal_has_an_error_of_its_own() -> None:
    statuses = {
        int(status)
        for document in DOCUMENTS.values()
        for operations in document["paths"].values()
        for promised in operations.values()
        for status in promised["responses"]
        if status.startswith(("4", "5"))
    }
    plain = {status for status in statuses if type(errors.error_of(errors.problem_from(status, {}))) is errors.ApiError}
    assert plain <= {405, 406, 408, 431}  # of a broken client, not of a caller


def verbs(group: type) -> Iterator[tuple[str, str, Any]]:
    """Return the operations of a group: name, whether a list, and the call."""
    for name, found in vars(group).items():
        if isinstance(found, Verb | AsyncVerb | Pages | AsyncPages):
            yield name, type(found).__name__.removeprefix("Async"), found.__doc__


@pytest.mark.parametrize(
    ("blocking", "awaited"),
    [
        (clients.Orders, clients.AsyncOrders),
        (clients.WebhookEndpoints, clients.AsyncWebhookEndpoints),
        (clients.WebhookDeliveries, clients.AsyncWebhookDeliveries),
        (clients.ApiKeys, clients.AsyncApiKeys),
    ],
)
def test_both_clients_do_the_same(blocking: type, awaited: type) -> None:
    assert list(verbs(blocking)) == list(verbs(awaited))
