"""What FastAPI's OpenAPI document lacks: scopes, the form of errors, examples, and headers that all responses have."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute

from infra.http.addresses import ORDERS
from infra.http.auth import required_scope
from infra.http.openapi.examples import NoExampleError, example_of
from infra.http.problems import FieldError, Member, Problem, ProblemType, document_of

Json = dict[str, Any]

HEADERS: Final = {
    "Allow": ("the methods of this address", "GET, POST"),
    "Consistency-Token": ("send it to the query API to read at or after this change", "7.1234"),
    "ETag": ("the order's version", '"1"'),
    "Idempotency-Replayed": ("`true` when this is the recorded response of an earlier request", "true"),
    "Link": ("the next page when there is one (RFC 8288)", '</api/v1/...?cursor=AQ>; rel="next"'),
    "Location": (
        "the address of what was created",
        f"https://orders.example.com{ORDERS}/019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10",
    ),
    "RateLimit": ("requests left, and seconds until there are more", '"partner";r=99;t=0'),
    "RateLimit-Policy": ("requests allowed, and per how many seconds", '"partner";q=100;w=1'),
    "Retry-After": ("seconds to wait before the request is sent again", "1"),
    "WWW-Authenticate": ("how to authenticate", 'Bearer realm="harbor-orders"'),
    "X-Read-Lag-Ms": ("how far the read model is behind the log, in milliseconds", "12"),
    "X-Read-Position": ("position in the log up to which the response includes every event", "1234"),
    "X-Request-ID": ("the id of this request, the caller's own if it sent a good one", "req-7f3a"),
}
"""Every header a response may have: what it says, and an example."""

_REQUEST_ID: Final = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "description": "1-128 of A-Za-z0-9._- to be used as the id of this request; anything else is replaced.",
    "schema": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "example": "req-7f3a",
}
"""The parameter that every route takes: the middleware reads it."""

_RATE: Final = ("RateLimit", "RateLimit-Policy")
_BEFORE_THE_KEY: Final = "401"
_HEADERS_BY_STATUS: Final = {
    401: ("WWW-Authenticate",),
    412: ("ETag",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_FIELD_ERRORS: Final = (
    FieldError("/lines/0/quantity", "quantity_out_of_range", "A quantity is a whole number from 1 to 999."),
)

_PROBLEM: Final[Json] = {
    "title": "Problem",
    "description": "RFC 9457. `code` is stable; which of the members that are not required are there depends on it.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id", "retryable"],
    "properties": {
        "type": {"type": "string", "description": "address of a page about the error, at either service"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {
            "type": "string",
            "description": "the address; `urn:request:` and the request id where there is no such address",
        },
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "retryable": {"type": "boolean"},
        "errors": {
            "type": "array",
            "maxItems": 20,
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {name: {"type": "string"} for name in ("pointer", "code", "detail")},
            },
        },
        "errors_omitted": {
            "type": "integer",
            "minimum": 1,
            "description": "how many more errors there are than `errors` has room for",
        },
    },
}


def problem_schema(kinds: Iterable[ProblemType]) -> Json:
    """Return the schema of the problems of a service, with the extension members of these types."""
    members = {member.name: _schema_of(member) for kind in kinds for member in kind.members}
    return {**_PROBLEM, "properties": {**_PROBLEM["properties"], **members}}


def _schema_of(member: Member) -> Json:
    match member.example:
        case int():
            schema: Json = {"type": "integer"}
        case str():
            schema = {"type": "string"}
        case _:
            schema = {"type": "array", "items": {"type": "string"}}
    return schema | {"description": member.meaning}


def header(name: str) -> Json:
    """Return the description of a header of a response."""
    description, example = HEADERS[name]
    return {"description": description, "schema": {"type": "string"}, "example": example}


def problem_responses(*kinds: ProblemType) -> dict[int | str, Json]:
    """Return the `responses` of a route for OpenAPI: every problem it may respond with, by status, with its codes."""
    by_status: dict[int, list[ProblemType]] = {}
    for kind in kinds:
        if kind not in by_status.setdefault(kind.status, []):
            by_status[kind.status].append(kind)
    return {
        status: {
            "description": "; ".join(f"`{kind.code}`: {kind.title}" for kind in same),
            "headers": {name: header(name) for name in ("X-Request-ID", *_HEADERS_BY_STATUS.get(status, ()))},
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {kind.code: {"summary": kind.title, "value": _example(kind)} for kind in same},
                }
            },
        }
        for status, same in sorted(by_status.items())
    }


@dataclass(frozen=True, slots=True)
class Webhooks:
    """What is sent to clients: the routes that describe it, and an example body of each by name, made when asked."""

    router: APIRouter
    examples: Callable[[], Mapping[str, Json]]


def completed(
    document: Json, routes: Iterable[APIRoute], problems: Iterable[ProblemType], webhooks: Webhooks | None = None
) -> Json:
    """Return FastAPI's document with everything it lacks; the document is changed in place.

    `problems`: all that the service responds with.
    """
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = problem_schema(problems)
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "API key: hbr_live_... or hbr_test_..."},
        "x_api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
    }
    for route in routes:
        if route.include_in_schema:
            for method in route.methods or ():
                operation = document["paths"][route.path_format][method.lower()]
                operation["security"] = [{"bearer": []}, {"x_api_key": []}]
                operation["x-required-scopes"] = list(required_scope(route).scopes)
                _complete(document, operation)
    if webhooks is not None:
        _complete_webhooks(document, webhooks.examples())
    _share_examples(document)
    return document


def operations(document: Json) -> Iterator[Json]:
    """Return every operation of the paths and webhooks of a document."""
    for part in ("paths", "webhooks"):
        for path in document.get(part, {}).values():
            yield from path.values()


def _example(kind: ProblemType) -> Json:
    errors = _FIELD_ERRORS if kind.code == "validation_failed" else ()
    members = {each.name: _shown(each.example) for each in kind.members}
    return document_of(Problem(kind, members=members), errors, ORDERS, "req-7f3a")


def _shown(example: str | int | tuple[str, ...]) -> str | int | list[str]:
    return list(example) if isinstance(example, tuple) else example


def _complete(document: Json, operation: Json) -> None:
    name = operation["operationId"]
    parameters = operation.setdefault("parameters", [])
    parameters.append(_REQUEST_ID)
    for parameter in parameters:
        if "example" not in parameter and "examples" not in parameter:
            _add_example(document, parameter, f"{name}/{parameter['name']}", is_sent=True)
    for media in operation.get("requestBody", {}).get("content", {}).values():
        if "example" not in media and "examples" not in media:
            _add_example(document, media, name, is_sent=True)
    for status, response in operation["responses"].items():
        rate = () if status == _BEFORE_THE_KEY else _RATE
        headers = response.setdefault("headers", {})
        for each in ("X-Request-ID", *rate):
            headers.setdefault(each, header(each))
        for each, described in headers.items():
            described.setdefault("example", HEADERS[each][1])
        media = response.get("content", {}).get("application/json")
        if media is not None and "example" not in media and "examples" not in media:
            _add_example(document, media, f"{name}/{status}", is_sent=False)


def _complete_webhooks(document: Json, examples: Mapping[str, Json]) -> None:
    """Finish what is sent to clients: nobody authenticates by an API key there.

    `WebhookEvent` is the body of any of them, for receivers that take all at one address: `type` tells them apart.
    """
    bodies: dict[str, str] = {}
    for event, path in document["webhooks"].items():
        operation = path["post"]
        operation["security"] = []
        for guessed in ("200", "422"):
            operation["responses"].pop(guessed, None)
        media = operation["requestBody"]["content"]["application/json"]
        media["example"] = examples[event]  # not before: FastAPI drops every null of an example
        bodies[event] = media["schema"]["$ref"]
    document["components"]["schemas"]["WebhookEvent"] = {
        "title": "WebhookEvent",
        "description": "The body of any webhook. More types will come: respond with 2xx to those you do not know.",
        "oneOf": [{"$ref": body} for body in bodies.values()],
        "discriminator": {"propertyName": "type", "mapping": bodies},
    }


def _add_example(document: Json, target: Json, place: str, *, is_sent: bool) -> None:
    try:
        target["example"] = example_of(document, target["schema"], place, is_sent=is_sent)
    except NoExampleError:
        return  # a test tells which: the document is served all the same


def _share_examples(document: Json) -> None:
    """Keep each example of an error once; operations refer to it."""
    shared = document["components"].setdefault("examples", {})
    for operation in operations(document):
        for response in operation["responses"].values():
            examples = response.get("content", {}).get("application/problem+json", {}).get("examples", {})
            for name, example in examples.items():
                if "value" in example:
                    shared[name] = example
                    examples[name] = {"$ref": f"#/components/examples/{name}"}
    document["components"]["examples"] = dict(sorted(shared.items()))
