"""Our OpenAPI documents show an example of everything a reader meets, and every example fits its schema."""

import re
from collections.abc import Iterator
from typing import Any, Final

import jsonschema
import orjson
import pytest

from domain.catalogue.examples import examples
from domain.change import change_document
from domain.instants import instant_text
from domain.order.document import render_order
from domain.order.events import EVENT_TYPES, OrderEvent
from infra.http.openapi.document import HEADERS
from infra.http.openapi.examples import NoExampleError, example_of, resolved
from infra.http.problems import CATALOGUE
from projections.webhooks.body import MAX_BODY_BYTES, EventHead, render_snapshot, render_thin
from tests.support.requests.route_matrix import DOCUMENTS

Json = dict[str, Any]
OPERATIONS: Final[list[tuple[str, Json]]] = [
    (service, operation)
    for service, document in DOCUMENTS.items()
    for part in ("paths", "webhooks")
    for path in document.get(part, {}).values()
    for operation in path.values()
]
EVERY_OPERATION = pytest.mark.parametrize(
    ("service", "operation"), OPERATIONS, ids=[f"{service}: {each['operationId']}" for service, each in OPERATIONS]
)


def valid(service: str, schema: Json, value: object) -> None:
    components = DOCUMENTS[service]["components"]
    jsonschema.Draft202012Validator({**schema, "components": components}).validate(value)


def media_types(operation: Json) -> Iterator[tuple[str, Json]]:
    """Return every body that an operation takes or returns."""
    for media in operation.get("requestBody", {}).get("content", {}).values():
        yield "request", media
    for status, answer in operation["responses"].items():
        for media in answer.get("content", {}).values():
            yield status, media


@EVERY_OPERATION
def test_every_body_has_an_example_that_fits_its_schema(service: str, operation: Json) -> None:
    for place, media in media_types(operation):
        named = [resolved(DOCUMENTS[service], example) for example in media.get("examples", {}).values()]
        values = [example["value"] for example in named]
        values += [media["example"]] if "example" in media else []
        assert values, place
        for value in values:
            valid(service, media["schema"], value)


def objects_in(value: Any) -> Iterator[Json]:
    """Return every object in an example that names its kind."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        yield from [value] if "object" in value else []
        yield from (found for each in value.values() for found in objects_in(each))


def minor(order: Json, *names: str) -> int:
    return sum(order[name]["amount_minor"] for name in names)


def contradictions(found: Json) -> Iterator[bool]:
    """Return what cannot be true of an order, a key or a delivery at once."""
    match found["object"]:
        case "order":
            yield minor(found, "total") != sum(line["total"]["amount_minor"] for line in found["lines"])
            yield minor(found, "authorized") != minor(found, "captured", "released", "capturable")
            yield minor(found, "authorized") not in {0, minor(found, "total")}
            yield found["status"] == "pending" and minor(found, "authorized") > 0
            yield (found["status"] in {"captured", "settled"}) is not (
                minor(found, "captured") > 0 == minor(found, "capturable")
            )
        case "api_key":
            yield (found["status"] == "revoked") is not (found["revoked_at"] is not None)
            yield found["expires_at"] <= found["created_at"]
            yield (found["last_used_at"] or found["created_at"]) < found["created_at"]
        case "webhook_delivery" if "attempt_count" in found:
            yield (found["status"] == "delivered") is not (found["next_attempt_at"] is None)
            yield (found["status"] == "delivered") is not (found["last_status"] in range(200, 300))
            outcomes = [each["outcome"] for each in found.get("attempts", ())]
            yield "attempts" in found and len(outcomes) != found["attempt_count"]
            yield "delivered" in outcomes and found["status"] != "delivered"


@EVERY_OPERATION
def test_no_example_contradicts_itself(service: str, operation: Json) -> None:
    for place, media in media_types(operation):
        named = [resolved(DOCUMENTS[service], example) for example in media.get("examples", {}).values()]
        for value in [*(example["value"] for example in named), media.get("example")]:
            for found in objects_in(value):
                assert not any(contradictions(found)), (place, found)


@EVERY_OPERATION
def test_every_parameter_and_every_response_header_has_an_example(service: str, operation: Json) -> None:
    for parameter in operation.get("parameters", []):
        given = parameter["schema"].get("examples", parameter.get("examples", [parameter.get("example")]))
        assert given[0] is not None, parameter["name"]
        valid(service, parameter["schema"], given[0])
    for status, answer in operation["responses"].items():
        for name, header in answer.get("headers", {}).items():
            assert header["example"], (status, name)
            assert header["description"], (status, name)
            assert name in HEADERS, name


@pytest.mark.parametrize("service", DOCUMENTS)
def test_the_example_of_an_address_in_a_header_is_one_of_its_own_resource(service: str) -> None:
    for path, methods in DOCUMENTS[service]["paths"].items():
        for answer in (answer for operation in methods.values() for answer in operation["responses"].values()):
            for name in {"Link", "Location"} & set(answer["headers"]):
                resource = re.search(r"/api/v1/([a-z-]+)", answer["headers"][name]["example"])
                assert resource is None or path.startswith(resource[0]), (path, name)


@EVERY_OPERATION
def test_an_operation_says_what_it_does_and_how_it_may_fail(service: str, operation: Json) -> None:
    assert operation["summary"]
    assert operation["description"]
    if "x-required-scopes" not in operation:
        assert operation["security"] == [], "sent to clients"
        return
    assert "X-Request-ID" in {each["name"] for each in operation["parameters"]}
    statuses = set(operation["responses"])
    assert {"401", "403", "429", "500", "503"} <= statuses, service
    for status in statuses - {"401"}:
        assert {"X-Request-ID", "RateLimit", "RateLimit-Policy"} <= set(operation["responses"][status]["headers"])
    for status in ("429", "503"):
        assert "Retry-After" in operation["responses"][status]["headers"]


def test_every_code_of_an_error_is_shown_once_as_it_is_sent() -> None:
    shown = DOCUMENTS["command"]["components"]["examples"]

    for kind in CATALOGUE:
        if kind.code in shown:
            value = shown[kind.code]["value"]
            assert (value["status"], value["title"], value["retryable"]) == (kind.status, kind.title, kind.retryable)
    assert "validation_failed" in shown


def test_a_webhook_of_every_event_type_is_described() -> None:
    described = DOCUMENTS["command"]["webhooks"]

    assert set(described) == {kind.type for kind in EVENT_TYPES}
    for name, path in described.items():
        [media] = path["post"]["requestBody"]["content"].values()
        assert media["example"]["type"] == name
        headers = {parameter["name"] for parameter in path["post"]["parameters"]}
        assert headers >= {"webhook-id", "webhook-timestamp", "webhook-signature"}


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.type)
def test_what_is_rendered_for_webhooks_is_what_the_document_describes(kind: type[OrderEvent]) -> None:
    (event, envelope), before, after = examples()[kind.type]
    head = EventHead(
        event_id=str(envelope.event_id),
        type=kind.type,
        timestamp=instant_text(envelope.occurred_at),
        livemode=False,
        sequence=envelope.sequence,
        order_id=str(envelope.order_id),
        request_id=None,
    )
    change = change_document(event)
    snapshot = render_snapshot(head, change, render_order(after), render_order(before) if before else None)
    too_large = {**change, "reason": "x" * MAX_BODY_BYTES}
    bodies = [
        snapshot,
        render_thin(head, change),
        render_thin(head, change, truncated=True),
        render_thin(head, too_large),
    ]

    for body in bodies:
        document = orjson.loads(body)
        valid("command", {"$ref": "#/components/schemas/WebhookEvent"}, document)
        valid("command", {"$ref": f"#/components/schemas/{kind.__name__}Webhook"}, document)
    described = DOCUMENTS["command"]["webhooks"][kind.type]["post"]["requestBody"]["content"]["application/json"]
    assert described["example"]["data"] == orjson.loads(snapshot)["data"]


def test_a_text_without_an_example_is_an_error() -> None:
    schema = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}

    with pytest.raises(NoExampleError, match="place/name"):
        example_of({}, schema, "place", is_sent=True)
