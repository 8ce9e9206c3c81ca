"""The API key routes: make, look at, rotate and revoke keys, with a key that may (`keys:manage`). Decision 0055."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from command_api.api_keys import declared
from command_api.api_keys import problems as refusals
from command_api.api_keys.bodies import NewApiKeyBody, RotationBody, overlap, wanted_key
from command_api.api_keys.pages import CURSOR, cursor_of_event, cursor_of_key, event_before, key_before
from command_api.api_keys.responses import event_document, key_document, page_document
from command_api.api_keys.rights import require_grantable, require_live, require_seen, visibility_of
from command_api.errors import IDEMPOTENCY_KEY_MISMATCH, invalid_values
from command_api.handling.bodies import parse_body
from command_api.handling.idempotency import fingerprint, parse_key
from command_api.state import state_of
from infra import clock
from infra.http import problems
from infra.http.auth import Principal, requires
from infra.http.context import context_of
from infra.http.json_body import JsonBody, read_json
from infra.http.problems import FieldError, Problem
from infra.http.query_string import read_limit, read_values
from infra.http.server.declared_route import DeclaredRoute
from infra.postgres.failures import AWAY
from infra.security import api_key_store
from infra.security.api_key_events import events_of_key
from infra.security.api_key_store import Connection
from infra.security.api_keys import KeyActor, KeyClaim, KeyRecord, KeyVisibility, is_partner_id

PREFIX: Final = "/api/v1/api-keys"
LIST: Final = frozenset({"limit", CURSOR, "partner_id"})
EVENTS: Final = frozenset({"limit", CURSOR})
NONE: Final[frozenset[str]] = frozenset()
_KEY_ID: Final = re.compile(r"[0-9A-Za-z]{8}", re.ASCII)

ManagesKeys = Annotated[Principal, requires("keys:manage")]

router = APIRouter(route_class=DeclaredRoute, tags=["API keys"])


@router.post(
    PREFIX,
    status_code=201,
    operation_id="create_api_key",
    summary="Create an API key",
    dependencies=[Depends(declared.new_key)],
    responses=declared.CREATED,
)
async def create(request: Request, principal: ManagesKeys) -> Response:
    """Create a key in the mode of the key that asks, able to do no more than that one. Its text is shown only here.

    A repeated request makes no second key: it is answered 409 with the `key_id` of the first, since a secret is not
    kept and cannot be shown again. So a lost answer leaves no key behind that nobody knows.
    """
    body, claim = await _asked(request, principal, is_body_optional=False)
    wanted = parse_body(NewApiKeyBody, body.value)
    async with _changing(request) as connection:
        now = clock.now()
        acting = require_live(await api_key_store.find_key(connection, principal.key_id), now)
        asked = wanted_key(wanted, acting, now)
        require_grantable(acting, asked.scopes, asked.expires_at)
        text, record = await api_key_store.create_key(
            connection,
            pepper=state_of(request)["key_changes"].pepper,
            partner_id=asked.partner_id,
            livemode=principal.livemode,
            scopes=asked.scopes,
            now=now,
            by=_actor(request, principal),
            label=asked.label,
            expires_at=asked.expires_at,
            claim=claim,
        )
    _note(request, record.key_id)
    return _json(201, key_document(record, now) | {"key": text}, {"location": f"{PREFIX}/{record.key_id}"})


@router.get(
    PREFIX,
    operation_id="list_api_keys",
    summary="List API keys",
    dependencies=[Depends(declared.list_keys)],
    responses=declared.LISTED,
)
async def list_keys(request: Request, principal: ManagesKeys) -> Response:
    """List the keys of this partner and mode, or, with a key of the installation, all of the mode; newest first."""
    values = read_values(request.scope["query_string"], LIST)
    limit, visibility = read_limit(values), _listed(principal, values.get("partner_id"))
    after = key_before(request, visibility_of(principal), values)
    async with _connection(request) as connection:
        rows = await api_key_store.keys_page(connection, visibility, after=after, rows=limit + 1)
    now, shown = clock.now(), rows[:limit]
    cursor = cursor_of_key(request, visibility_of(principal), values, shown[-1]) if len(rows) > limit else None
    return _json(200, page_document([key_document(each, now) for each in shown], cursor))


@router.get(
    PREFIX + "/{key_id}",
    operation_id="get_api_key",
    summary="Get one API key",
    dependencies=[Depends(declared.one_key)],
    responses=declared.FOUND,
)
async def get(request: Request, principal: ManagesKeys) -> Response:
    """Return a key without its secret."""
    read_values(request.scope["query_string"], NONE)
    async with _connection(request) as connection:
        record = await _seen(connection, request, principal)
    return _json(200, key_document(record, clock.now()))


@router.post(
    PREFIX + "/{key_id}/rotate",
    status_code=201,
    operation_id="rotate_api_key",
    summary="Rotate an API key",
    dependencies=[Depends(declared.rotation)],
    responses=declared.ROTATED,
)
async def rotate(request: Request, principal: ManagesKeys) -> Response:
    """Create a successor with the same owner, mode, scopes and expiry; the old key works until the overlap ends.

    The key that asks must have every scope of the successor. A partner must have one live key at most: the successor is
    the second. A repeated request is answered as by `create_api_key`; a key that rotates itself works for at least 60
    seconds more, so that it can repeat.
    """
    body, claim = await _asked(request, principal, is_body_optional=True)
    is_own = request.path_params["key_id"] == principal.key_id
    overlap_ = overlap(parse_body(RotationBody, body.value), is_own=is_own)
    async with _changing(request) as connection:
        now = clock.now()
        acting = require_live(await api_key_store.find_key(connection, principal.key_id), now)
        old = await _seen(connection, request, principal)
        require_grantable(acting, old.scopes, old.expires_at)
        text, successor, ended = await api_key_store.rotate_key(
            connection,
            pepper=state_of(request)["key_changes"].pepper,
            key_id=old.key_id,
            overlap=overlap_,
            now=now,
            by=_actor(request, principal),
            claim=claim,
        )
    _note(request, successor.key_id)
    document = key_document(successor, now) | {"key": text, "predecessor": key_document(ended, now)}
    return _json(201, document, {"location": f"{PREFIX}/{successor.key_id}"})


@router.post(
    PREFIX + "/{key_id}/revoke",
    operation_id="revoke_api_key",
    summary="Revoke an API key",
    dependencies=[Depends(declared.one_key)],
    responses=declared.REVOKED,
)
async def revoke(request: Request, principal: ManagesKeys) -> Response:
    """Revoke a key, also the one that asks: every process refuses it within 5 seconds. Repeating it changes nothing."""
    async with _changing(request) as connection:
        now = clock.now()
        found = await _seen(connection, request, principal)
        if found.key_id != principal.key_id:  # one that revoked itself may ask again as long as it gets this far
            require_live(await api_key_store.find_key(connection, principal.key_id), now)
        record = await api_key_store.revoke_key(connection, key_id=found.key_id, now=now, by=_actor(request, principal))
    _note(request, record.key_id)
    return _json(200, key_document(record, now))


@router.get(
    PREFIX + "/{key_id}/events",
    operation_id="list_api_key_events",
    summary="What happened to one API key",
    dependencies=[Depends(declared.events)],
    responses=declared.EVENTS,
)
async def events(request: Request, principal: ManagesKeys) -> Response:
    """Return who created, rotated and revoked a key, and when; oldest first. The history can only grow."""
    values = read_values(request.scope["query_string"], EVENTS)
    limit, visibility = read_limit(values), visibility_of(principal)
    after = event_before(request, visibility, values)
    async with _connection(request) as connection:
        record = await _seen(connection, request, principal)
        rows = await events_of_key(connection, record.key_id, visibility, after=after, rows=limit + 1)
    shown = rows[:limit]
    cursor = cursor_of_event(request, visibility, values, shown[-1].number) if len(rows) > limit else None
    return _json(200, page_document([event_document(each, principal) for each in shown], cursor))


async def _asked(request: Request, principal: Principal, *, is_body_optional: bool) -> tuple[JsonBody, KeyClaim]:
    """Read what asks for a new key, and what makes it known again: unique for the partner and mode."""
    key = parse_key(context_of(request).header(b"idempotency-key"))
    body = await read_json(request, state_of(request)["bodies"], is_optional=is_body_optional)
    owner = f"{principal.partner_id or '*'}.{'live' if principal.livemode else 'test'}"
    return body, KeyClaim(f"{owner}/{key}", fingerprint(request.method, request.scope["path"], body.canonical))


@asynccontextmanager
async def _changing(request: Request) -> AsyncIterator[Connection]:
    """Hold the one transaction that may change keys; what stands in its way becomes a problem."""
    async with state_of(request)["key_changes"].turns.entered(), _connection(request) as connection:
        try:
            async with api_key_store.changing_keys(connection):
                yield connection
        except api_key_store.TooManyKeysError:
            raise Problem(refusals.TOO_MANY_LIVE_KEYS) from None
        except api_key_store.UnknownKeyError:
            raise Problem(refusals.API_KEY_NOT_LIVE) from None
        except api_key_store.ClaimMismatchError:
            raise Problem(IDEMPOTENCY_KEY_MISMATCH) from None
        except api_key_store.KeyAlreadyMadeError as made:
            raise Problem(refusals.API_KEY_ALREADY_CREATED, members={"key_id": made.key_id}) from None


@asynccontextmanager
async def _connection(request: Request) -> AsyncIterator[Connection]:
    """Return a connection; what PostgreSQL raises when it is away becomes a 503."""
    try:
        async with state_of(request)["database"].pool.acquire() as connection:
            yield connection
    except AWAY:
        raise Problem(problems.STORE_UNAVAILABLE) from None


async def _seen(connection: Connection, request: Request, principal: Principal) -> KeyRecord:
    """Return the key in the path. What is not of the form of an id does not exist: the same 404."""
    key_id = request.path_params["key_id"]
    found = await api_key_store.find_key(connection, key_id) if _KEY_ID.fullmatch(key_id) else None
    return require_seen(found, visibility_of(principal))


def _listed(principal: Principal, partner_id: str | None) -> KeyVisibility:
    """Return which keys a list shows: within reach, and of one partner if that is asked for."""
    visibility = visibility_of(principal)
    if partner_id is None:
        return visibility
    if visibility.partner_id is not None:
        raise invalid_values([_error("partner_from_key")])
    if not is_partner_id(partner_id):
        raise invalid_values([_error("partner_malformed")])
    return KeyVisibility(partner_id, visibility.livemode)


def _error(code: str) -> FieldError:
    return FieldError("/query/partner_id", code, refusals.FIELD_CODES[code])


def _actor(request: Request, principal: Principal) -> KeyActor:
    return KeyActor("api_key", principal.key_id, context_of(request).request_id)


def _note(request: Request, key_id: str) -> None:
    context = context_of(request)
    context.log_event = "api_key.changed"
    context.log_fields["changed_key_id"] = key_id


def _json(status: int, document: dict[str, object], headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), status, headers, media_type="application/json")
