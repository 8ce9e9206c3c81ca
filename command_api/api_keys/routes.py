"""The API key routes: create, read, rotate and revoke keys, with a key that may (`keys:manage`); see decision 0055."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import AfterValidator

from command_api import errors
from command_api.api_keys import problems as refusals
from command_api.api_keys.bodies import NewApiKeyBody, RotationBody, overlap, wanted_key
from command_api.api_keys.requests import (
    PREFIX,
    Actor,
    IdentifiedRequest,
    KeyId,
    ManagesKeys,
    Pages,
    changing,
    connection_of,
    note_change,
    visible_key,
)
from command_api.api_keys.responses import (
    EXAMPLE_ID,
    ApiKeyDocument,
    ApiKeyList,
    CreatedApiKeyDocument,
    KeyEventDocument,
    KeyEventList,
    RotatedApiKeyDocument,
)
from command_api.api_keys.rights import require_grantable, require_live, visibility_of
from command_api.errors import invalid_values
from command_api.state import state_of
from infra import clock
from infra.http import json_body, problems
from infra.http.auth import Principal
from infra.http.cursors import RowKey
from infra.http.openapi.document import header, problem_responses
from infra.http.problems import FieldError, ProblemType
from infra.http.strict_route import StrictRequest, StrictRoute
from infra.http.validation import coded
from infra.security import api_key_store
from infra.security.api_key_events import KeyEvent, events_of_key
from infra.security.api_keys import KeyRecord, KeyVisibility, is_partner_id

_NO_ID: Final = UUID(int=0)

router = APIRouter(route_class=StrictRoute, tags=["API keys"])


def _responses(*kinds: ProblemType) -> dict[int | str, dict[str, Any]]:
    return problem_responses(*problems.EVERY_ROUTE, *kinds)


_KEY_ADDRESS: Final = {"description": "the address of the new key", "example": f"{PREFIX}/{EXAMPLE_ID}"}
_LOCATION: Final = {"headers": {"Location": header("Location") | _KEY_ADDRESS}}
_LINK: Final = {"headers": {"Link": header("Link")}}
_CREATING: Final = (
    *json_body.PROBLEMS,
    errors.IDEMPOTENCY_KEY_REQUIRED,
    errors.IDEMPOTENCY_KEY_INVALID,
    errors.IDEMPOTENCY_KEY_MISMATCH,
    refusals.GRANT_EXCEEDS_KEY,
    refusals.TOO_MANY_LIVE_KEYS,
    refusals.API_KEY_ALREADY_CREATED,
)


@router.post(
    PREFIX,
    status_code=201,
    operation_id="create_api_key",
    summary="Create an API key",
    response_description="The new key, with its text.",
    responses={201: _LOCATION, **_responses(*_CREATING)},
)
async def create(
    request: StrictRequest,
    response: Response,
    body: NewApiKeyBody,
    principal: ManagesKeys,
    identified: IdentifiedRequest,
    actor: Actor,
) -> CreatedApiKeyDocument:
    """Create a key in the mode of the key that asks. Its text is shown only here.

    A key can do no more than the one that asks; one of the installation may also give keys to a partner, with any
    scopes that a partner's key may have.

    A repeated request makes no second key: it gets 409 with the `key_id` of the first, since a secret is not kept
    and cannot be shown again. So a lost response leaves no unknown key behind.
    """
    async with changing(request) as connection:
        now = clock.now()
        acting = require_live(await api_key_store.find_key(connection, principal.key_id), now)
        wanted = wanted_key(body, acting, now)
        require_grantable(acting, wanted.partner_id, wanted.scopes, wanted.expires_at)
        text, record = await api_key_store.create_key(
            connection,
            pepper=state_of(request)["key_changes"].pepper,
            partner_id=wanted.partner_id,
            livemode=principal.livemode,
            scopes=wanted.scopes,
            now=now,
            by=actor,
            label=wanted.label,
            expires_at=wanted.expires_at,
            request=identified,
        )
    note_change(request, record.key_id)
    response.headers["location"] = f"{PREFIX}/{record.key_id}"
    return CreatedApiKeyDocument.of(record, now, key=text)


def _partner_id(text: str) -> str:
    if not is_partner_id(text):
        raise coded("partner_malformed", refusals.FIELD_CODES["partner_malformed"])
    return text


@router.get(
    PREFIX,
    operation_id="list_api_keys",
    summary="List API keys",
    response_description="A page of keys.",
    responses={200: _LINK, **_responses(problems.CURSOR_INVALID)},
)
async def list_keys(
    request: Request,
    principal: ManagesKeys,
    page: Pages,
    partner_id: Annotated[
        str | None,
        AfterValidator(_partner_id),
        Query(description="only keys of this partner; for installation keys only", examples=["acme"]),
    ] = None,
) -> ApiKeyList:
    """List the keys of this partner and mode, or, with an installation key, all of the mode; newest first."""
    visibility = _listed(principal, partner_id)
    after = None if page.after is None else (page.after.instant, _key_id(page.after))
    async with connection_of(request) as connection:
        rows = await api_key_store.keys_page(connection, visibility, after=after, rows=page.rows)
    now = clock.now()
    shown, next_cursor = page.cut(rows, _row_key)
    return ApiKeyList.of([ApiKeyDocument.of(each, now) for each in shown], next_cursor)


@router.get(
    PREFIX + "/{key_id}",
    operation_id="get_api_key",
    summary="Get one API key",
    response_description="The key.",
    responses=_responses(problems.NOT_FOUND),
)
async def get(request: Request, principal: ManagesKeys, key_id: KeyId) -> ApiKeyDocument:
    """Return a key without its secret."""
    async with connection_of(request) as connection:
        record = await visible_key(connection, key_id, principal)
    return ApiKeyDocument.of(record, clock.now())


@router.post(
    PREFIX + "/{key_id}/rotate",
    status_code=201,
    operation_id="rotate_api_key",
    summary="Rotate an API key",
    response_description="The successor, with its text.",
    responses={
        201: _LOCATION,
        **_responses(*_CREATING, problems.NOT_FOUND, refusals.API_KEY_NOT_LIVE, refusals.TOO_MANY_OVERLAPPING_KEYS),
    },
)
async def rotate(
    request: StrictRequest,
    response: Response,
    key_id: KeyId,
    principal: ManagesKeys,
    identified: IdentifiedRequest,
    actor: Actor,
    body: Annotated[RotationBody, Body()] = RotationBody(),  # noqa: B008  # frozen
) -> RotatedApiKeyDocument:
    """Create a successor with the same owner, mode, scopes and expiry; the old key works until the overlap ends.

    Rotated again, because a response was lost, the old key still passes on the expiry that it was created with.
    The key that asks must have every scope of the successor; one of the installation rotates any key of a partner. A
    key that was rotated counts no longer among the live keys that a partner may have, so a rotation finds room also
    where all places are taken. While 20 rotated keys of a partner still work, a further rotation has no overlap. A
    repeated request gets 409, as with `create_api_key`; a key that rotates itself works for at least 60 seconds more,
    so that it can repeat.
    """
    overlap_ = overlap(body, is_own=key_id == principal.key_id)
    async with changing(request) as connection:
        now = clock.now()
        acting = require_live(await api_key_store.find_key(connection, principal.key_id), now)
        old = await visible_key(connection, key_id, principal)
        require_grantable(acting, old.partner_id, old.scopes, old.expires_at)
        text, successor, ended = await api_key_store.rotate_key(
            connection,
            pepper=state_of(request)["key_changes"].pepper,
            key_id=old.key_id,
            overlap=overlap_,
            now=now,
            by=actor,
            request=identified,
        )
    note_change(request, successor.key_id)
    response.headers["location"] = f"{PREFIX}/{successor.key_id}"
    return RotatedApiKeyDocument.of(successor, now, key=text, predecessor=ApiKeyDocument.of(ended, now))


@router.post(
    PREFIX + "/{key_id}/revoke",
    operation_id="revoke_api_key",
    summary="Revoke an API key",
    response_description="The key, revoked now or before.",
    responses=_responses(problems.NOT_FOUND),
)
async def revoke(request: StrictRequest, key_id: KeyId, principal: ManagesKeys, actor: Actor) -> ApiKeyDocument:
    """Revoke a key, also the one that asks: every process refuses it within 5 seconds. Repeating it changes nothing."""
    async with changing(request) as connection:
        now = clock.now()
        found = await visible_key(connection, key_id, principal)
        if found.key_id != principal.key_id:  # one that revoked itself may ask again as long as it gets this far
            require_live(await api_key_store.find_key(connection, principal.key_id), now)
        record = await api_key_store.revoke_key(connection, key_id=found.key_id, now=now, by=actor)
    note_change(request, record.key_id)
    return ApiKeyDocument.of(record, now)


@router.get(
    PREFIX + "/{key_id}/events",
    operation_id="list_api_key_events",
    summary="What happened to one API key",
    response_description="A page of its history.",
    response_model_exclude_unset=True,
    responses={200: _LINK, **_responses(problems.NOT_FOUND, problems.CURSOR_INVALID)},
)
async def events(request: Request, key_id: KeyId, principal: ManagesKeys, page: Pages) -> KeyEventList:
    """Return who created, rotated and revoked a key, and when; oldest first. The history can only grow."""
    async with connection_of(request) as connection:
        record = await visible_key(connection, key_id, principal)
        rows = await events_of_key(
            connection, record.key_id, visibility_of(principal), after=page.after_number, rows=page.rows
        )
    shown, next_cursor = page.cut(rows, _event_key)
    return KeyEventList.of([KeyEventDocument.of(each, principal) for each in shown], next_cursor)


def _row_key(record: KeyRecord) -> RowKey:
    return RowKey.at(record.created_at, UUID(bytes=record.key_id.encode("ascii").rjust(16, b"\0")))


def _key_id(row: RowKey) -> str:
    return row.id.bytes.lstrip(b"\0").decode("ascii")


def _event_key(event: KeyEvent) -> RowKey:
    return RowKey(event.number, _NO_ID)


def _listed(principal: Principal, partner_id: str | None) -> KeyVisibility:
    """Return which keys a list shows: those the caller sees, of one partner if that is asked for."""
    visibility = visibility_of(principal)
    if partner_id is None:
        return visibility
    if visibility.partner_id is not None:
        raise invalid_values([_error("partner_from_key")])
    return KeyVisibility(partner_id, visibility.livemode)


def _error(code: str) -> FieldError:
    return FieldError("/query/partner_id", code, refusals.FIELD_CODES[code])
