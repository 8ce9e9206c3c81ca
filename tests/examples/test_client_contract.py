"""The client of examples/harbor_client says and reads exactly what the OpenAPI documents promise, no more and no less.

A member, parameter or operation that is added, removed or changed on either side fails here.
"""

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
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
    errors,
    webhooks,
)
from harbor_orders_client.documents import responses, webhook_changes
from harbor_orders_client.documents.changes import document_of
from harbor_orders_client.documents.reading import members
from harbor_orders_client.operations import api_keys, batches, orders, payments
from harbor_orders_client.operations import webhooks as hooks
from harbor_orders_client.problems import problem_from
from harbor_orders_client.transport.session import Listing
from harbor_orders_client.transport.wire import Request, Service

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
EVENTS: Final = [
    body.rpartition("/")[2]
    for body in DOCUMENTS[COMMAND]["components"]["schemas"]["WebhookEvent"]["discriminator"]["mapping"].values()
]
"""The bodies of webhooks, one for each event type."""
SCHEMAS: Final = {
    responses.Order: [(COMMAND, "Order"), (QUERY, "ShownOrder")],
    responses.Line: [(COMMAND, "OrderLine"), (QUERY, "OrderLine")],
    responses.Amount: [(COMMAND, "Money"), (QUERY, "Money")],
    responses.TimelineEntry: [(QUERY, "TimelineEntry")],
    responses.Note: [(QUERY, "Note")],
    responses.Actor: [(QUERY, "Actor")],
    responses.WebhookEndpoint: [(COMMAND, "WebhookEndpointDocument")],
    responses.NewWebhookEndpoint: [(COMMAND, "CreatedWebhookEndpointDocument")],
    responses.Resend: [(COMMAND, "ResendDocument")],
    responses.WebhookDelivery: [(QUERY, "Delivery")],
    responses.WebhookDeliveryWithAttempts: [(QUERY, "DeliveryWithAttempts")],
    responses.Attempt: [(QUERY, "Attempt")],
    responses.ApiKey: [(COMMAND, "ApiKeyDocument")],
    responses.NewApiKey: [(COMMAND, "CreatedApiKeyDocument")],
    responses.RotatedApiKey: [(COMMAND, "RotatedApiKeyDocument")],
    responses.KeyActor: [(COMMAND, "KeyActorDocument")],
    responses.ApiKeyEvent: [(COMMAND, "KeyEventDocument")],
    batches.BatchResult: [(COMMAND, "BatchResult")],
    webhook_changes.OrderTotals: [(COMMAND, "OrderTotals")],
    webhook_changes.ChangedLine: [(COMMAND, "ChangedLine")],
    webhook_changes.CapturedShare: [(COMMAND, "CapturedShare")],
    **{kind: [(COMMAND, kind.__name__)] for kind in webhook_changes.CHANGES.values()},
    webhooks.WebhookEvent: [(COMMAND, event) for event in EVENTS],
}
"""Where each dataclass is promised."""

KIND_OF: Final = {place: kind for kind, places in SCHEMAS.items() for place in places}
READ_AS: Final = {
    (responses.Amount, "amount"): Decimal,
    (responses.Order, "partner_id"): str | None,
    (batches.BatchResult, "body"): Mapping[str, Any],
    (webhooks.WebhookEvent, "data"): Mapping[str, Any],
    (webhooks.WebhookEvent, "truncated"): bool,
    (webhooks.WebhookEvent, "sequence"): int | None,
    (webhooks.WebhookEvent, "order_id"): str | None,
}
"""Not in OpenAPI (decimals), or read more freely: an order or a problem, and any webhook there may be one day."""

MAY_BE_MISSING: Final = {(webhooks.WebhookEvent, name) for name in ("sequence", "order_id", "request_id")}
"""Promised by every event of an order, and not by those of other things that may come."""

FORMATTED: Final = {"date-time": datetime, "date": date}
PLAIN: Final = {"string": str, "integer": int, "boolean": bool}


def everything_asked() -> list[Request[Any]]:
    """Return every request this client knows, with everything that can be said in it."""
    lists: list[Listing[Any]] = [
        orders.list_orders(status="pending", created_from=SOON, created_to=SOON, external_reference="PO-1"),
        orders.list_timeline(ID),
        orders.list_notes(ID),
        hooks.list_webhook_endpoints(),
        hooks.list_webhook_deliveries(endpoint_id=ID, status="dead"),
        api_keys.list_api_keys(partner_id="acme"),
        api_keys.list_api_key_events("abcd1234"),
    ]
    return [
        orders.create_order("ada@example.com", "EUR", LINES, external_reference="PO-1", metadata={"a": "b"}),
        orders.amend_order(ID, CHANGES, version=1, reason="ordered twice"),
        orders.update_order(ID, version=1, customer_email="a@example.com", external_reference="PO-1", metadata={}),
        orders.add_note(ID, "call before delivery"),
        payments.authorize_order(ID, reason="r"),
        payments.capture_order(ID, amount="1.00", final=False, reason="r"),
        payments.capture_order(ID, lines=[LineShare(1, 1)]),
        payments.void_order(ID, reason="ordered twice"),
        payments.cancel_order(ID, reason="ordered twice"),
        payments.refund_order(ID, amount="1.00", reason="broken"),
        payments.settle_order(
            ID, gross="2.00", fee="1.00", net="1.00", value_date=date(2026, 11, 25), batch="b", reason="r"
        ),
        orders.set_order_status(ID, "canceled", reason="ordered twice"),
        orders.get_order(ID),
        hooks.create_webhook_endpoint("https://example.com/webhooks"),
        hooks.get_webhook_endpoint(ID),
        hooks.delete_webhook_endpoint(ID),
        hooks.get_webhook_delivery(ID),
        hooks.resend_webhook_delivery(ID),
        api_keys.create_api_key(["orders:read"], label="reporting", expires_at=SOON, partner_id="acme"),
        api_keys.get_api_key("abcd1234"),
        api_keys.rotate_api_key("abcd1234", overlap_s=60),
        api_keys.revoke_api_key("abcd1234"),
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


def body_schema(request: Request[Any]) -> dict[str, Any]:
    """Return the schema of a request's body."""
    name = operation(request)["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return dict(DOCUMENTS[request.service]["components"]["schemas"][name])


def properties(service: Service, name: str) -> dict[str, Any]:
    """Return the members of a schema."""
    return dict(DOCUMENTS[service]["components"]["schemas"][name]["properties"])


@pytest.mark.parametrize("request_", everything_asked(), ids=lambda request: f"{request.method} {request.path}")
def test_every_request_exists_with_its_parameters_headers_and_body(request_: Request[Any]) -> None:
    promised = operation(request_)

    parameters = {(each["in"], each["name"].lower()): each["required"] for each in promised.get("parameters", [])}
    assert request_.query.keys() == {name for place, name in parameters if place == "query"}
    assert ("if-match" in request_.headers) == parameters.get(("header", "if-match"), False)
    assert (request_.idempotency_key is not None) == (("header", "idempotency-key") in parameters)
    if request_.content:
        schema = body_schema(request_)
        document = json.loads(request_.content)
        assert set(schema.get("required", ())) <= document.keys() <= schema["properties"].keys()


def test_every_member_of_every_body_can_be_said() -> None:
    said: dict[str, set[str]] = {}
    for request in everything_asked():
        said.setdefault(operation(request)["operationId"], set()).update(json.loads(request.content or b"{}"))
    promised = {
        operation(request)["operationId"]: body_schema(request)["properties"].keys()
        for request in everything_asked()
        if "requestBody" in operation(request)
    }
    assert {name: members for name, members in said.items() if name in promised} == promised


@pytest.mark.parametrize("request_", everything_asked(), ids=lambda request: f"{request.method} {request.path}")
def test_every_response_is_read_as_what_is_promised(request_: Request[Any]) -> None:
    [success] = [response for status, response in operation(request_)["responses"].items() if status.startswith("2")]
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


def type_of(service: Service, schema: Mapping[str, Any]) -> Any:
    """Return the type that a member of this schema is read as."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if name:
        return KIND_OF.get((service, name)) or type_of(service, DOCUMENTS[service]["components"]["schemas"][name])
    if "anyOf" in schema:
        some, nothing = schema["anyOf"]
        assert nothing == {"type": "null"}, schema
        return type_of(service, some) | None
    if schema["type"] == "array":
        return tuple[type_of(service, schema["items"]), ...]  # type: ignore[misc]  # made at run time
    if schema["type"] == "object":
        is_text = schema.get("additionalProperties") == {"type": "string"}
        return Mapping[str, str] if is_text else Mapping[str, Any]
    return FORMATTED.get(schema.get("format", "")) or PLAIN[schema["type"]]


@pytest.mark.parametrize("kind", SCHEMAS, ids=lambda kind: kind.__name__)
def test_every_dataclass_has_the_members_types_and_optionality_that_are_promised(kind: type) -> None:
    read = {each.name: (each.kind, each.is_optional) for each in members(kind)}
    needed = {member for member, (_kind, is_optional) in read.items() if not is_optional}
    somewhere: set[str] = set()
    for service, name in SCHEMAS[kind]:
        schema = DOCUMENTS[service]["components"]["schemas"][name]
        promised = {
            member: (
                READ_AS.get((kind, member)) or type_of(service, found),
                member not in schema["required"] or (kind, member) in MAY_BE_MISSING,
            )
            for member, found in schema["properties"].items()
            if member != "object"  # names the type, as the dataclass does
        }
        assert needed <= promised.keys(), name
        assert {member: read.get(member) for member in promised} == promised, name
        somewhere |= promised.keys()
    assert read.keys() == somewhere


def test_every_dataclass_of_the_responses_is_held_to_a_schema() -> None:
    kinds = {kind for kind in vars(responses).values() if dataclasses.is_dataclass(kind)}
    assert kinds <= SCHEMAS.keys()


def test_the_change_of_every_event_type_is_read_as_what_is_promised() -> None:
    promised = {event: DOCUMENTS[COMMAND]["components"]["schemas"][event]["properties"] for event in EVENTS}
    changes = {
        members["type"]["const"]: properties(COMMAND, members["data"]["anyOf"][0]["$ref"].rpartition("/")[2])["change"]
        for members in promised.values()
    }
    assert {name: change["$ref"].rpartition("/")[2] for name, change in changes.items()} == {
        name: kind.__name__ for name, kind in webhook_changes.CHANGES.items()
    }


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
    plain = {status for status in statuses if type(errors.error_of(problem_from(status, {}))) is errors.ApiError}
    assert plain <= {405, 406, 408, 431}  # of a broken client, not of a caller
