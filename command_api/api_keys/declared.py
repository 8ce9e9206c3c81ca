"""What the API key routes take and answer, declared for OpenAPI as `command_api.orders.declared` does for orders."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import Body, Path, Query
from pydantic import Field

from command_api import errors
from command_api.api_keys import problems as api_key_problems
from command_api.api_keys.bodies import NewApiKeyBody, RotationBody
from command_api.handling.idempotency import IdempotencyKey
from command_api.handling.requests import RequestId
from command_api.orders.responses import ORDER_HEADERS, Responses
from domain.order.document import Document
from infra.http import cursors, json_body, problems
from infra.http.app import problem_responses
from infra.http.problems import ProblemType
from infra.http.query_string import DEFAULT_LIMIT, MAX_LIMIT

_KEY_ID: Final = "8Zk2Qp1x"
KeyId = Annotated[str, Path(description="the key's id: the third part of its text", examples=[_KEY_ID])]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="entries of a page, at most")]
Cursor = Annotated[
    str | None,
    Query(description="`next_cursor` of the page before, with the same filters.", examples=[cursors.EXAMPLE]),
]
_DEFAULTS: Final = RotationBody()


class ApiKeyDocument(Document):
    """An API key, without its secret; `partner_id` is null for one of the installation."""

    id: str = Field(examples=[_KEY_ID])
    object: Literal["api_key"]
    partner_id: str | None = Field(examples=["acme"])
    livemode: bool
    label: str = Field(examples=["checkout, 2026"])
    scopes: list[str] = Field(examples=[["orders:read", "orders:write"]])
    status: Literal["live", "revoked", "expired"]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="to the minute")


class CreatedApiKeyDocument(ApiKeyDocument):
    """A new key; `key` is its text, shown this once."""

    key: str = Field(examples=["hbr_test_8Zk2Qp1x_..."])


class RotatedApiKeyDocument(CreatedApiKeyDocument):
    """The successor of a key, and the old key with the time its overlap ends."""

    predecessor: ApiKeyDocument


class ApiKeyList(Document):
    """A page of keys, newest first."""

    data: list[ApiKeyDocument]
    has_more: bool
    next_cursor: str | None


class KeyActorDocument(Document):
    """Who did it: a key with its `id`, or the `operator` of the installation; a key of the installation sees which."""

    type: Literal["api_key", "operator", "cli", "installation"]
    id: str | None = Field(examples=["8Zk2Qp1x"])


class KeyEventDetails(Document):
    """What the event was about; which members there are depends on its type."""

    label: str | None = None
    scopes: list[str] | None = None
    expires_at: datetime | None = None
    predecessor: str | None = Field(default=None, description="the key that this one follows")
    successor: str | None = Field(default=None, description="the key that follows this one")


class KeyEventDocument(Document):
    """One thing that happened to a key."""

    id: str = Field(examples=["42"])
    object: Literal["api_key_event"]
    type: Literal["api_key.created", "api_key.rotated", "api_key.revoked"]
    key_id: str = Field(examples=[_KEY_ID])
    actor: KeyActorDocument
    request_id: str = Field(examples=["req-7f3a"])
    recorded_at: datetime
    details: KeyEventDetails


class KeyEventList(Document):
    """A page of a key's history, oldest first."""

    data: list[KeyEventDocument]
    has_more: bool
    next_cursor: str | None


def new_key(body: NewApiKeyBody, idempotency_key: IdempotencyKey, request_id: RequestId = None) -> None:
    """Declare what POST /api-keys takes."""


def list_keys(
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    partner_id: Annotated[
        str | None,
        Query(description="only keys of this partner; for keys of the installation only", examples=["acme"]),
    ] = None,
) -> None:
    """Declare what GET /api-keys takes."""


def one_key(key_id: KeyId) -> None:
    """Declare what a route of one key takes."""


def rotation(
    key_id: KeyId,
    idempotency_key: IdempotencyKey,
    body: Annotated[RotationBody, Body()] = _DEFAULTS,
    request_id: RequestId = None,
) -> None:
    """Declare what POST /api-keys/{key_id}/rotate takes."""


def events(
    key_id: KeyId,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> None:
    """Declare what GET /api-keys/{key_id}/events takes."""


_HEADERS: Final = {name: ORDER_HEADERS[name] for name in ("X-Request-ID", "RateLimit", "RateLimit-Policy")}
_LOCATION: Final = {
    "Location": {
        "description": "the key",
        "schema": {"type": "string"},
        "example": f"/api/v1/api-keys/{_KEY_ID}",
    }
}
_CREATING: Final = (
    *json_body.PROBLEMS,
    errors.IDEMPOTENCY_KEY_REQUIRED,
    errors.IDEMPOTENCY_KEY_INVALID,
    errors.IDEMPOTENCY_KEY_MISMATCH,
    api_key_problems.GRANT_EXCEEDS_KEY,
    api_key_problems.TOO_MANY_LIVE_KEYS,
    api_key_problems.API_KEY_ALREADY_CREATED,
)


def _answers(status: int, model: type[Document], description: str, *kinds: ProblemType) -> Responses:
    headers = _HEADERS | (_LOCATION if status == 201 else {})  # noqa: PLR2004  # Created
    success: dict[str, Any] = {"model": model, "description": description, "headers": headers}
    return {status: success, **problem_responses(*problems.EVERY_ROUTE, *kinds)}


CREATED: Final = _answers(201, CreatedApiKeyDocument, "The new key, with its text.", *_CREATING)
LISTED: Final = _answers(200, ApiKeyList, "A page of keys.", problems.CURSOR_INVALID)
FOUND: Final = _answers(200, ApiKeyDocument, "The key.", problems.NOT_FOUND)
ROTATED: Final = _answers(
    201,
    RotatedApiKeyDocument,
    "The successor, with its text.",
    *_CREATING,
    problems.NOT_FOUND,
    api_key_problems.API_KEY_NOT_LIVE,
)
REVOKED: Final = _answers(200, ApiKeyDocument, "The key, revoked now or before.", problems.NOT_FOUND)
EVENTS: Final = _answers(200, KeyEventList, "A page of its history.", problems.NOT_FOUND, problems.CURSOR_INVALID)
