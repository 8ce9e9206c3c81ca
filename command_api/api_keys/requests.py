"""What every route of API keys does around its work: say who asks, hold the transaction, find the key it is about."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

from fastapi import Depends, Path, Request
from pydantic import AfterValidator

from command_api import errors
from command_api.api_keys import problems as refusals
from command_api.api_keys.responses import EXAMPLE_ID
from command_api.api_keys.rights import visibility_of
from command_api.handling.idempotency import IdempotencyKey, fingerprint
from command_api.state import state_of
from domain.instants import instant_text
from infra.http import problems
from infra.http.auth import Principal, requires
from infra.http.context import context_of
from infra.http.cursors import Paging, paging
from infra.http.problems import MemberValue, Problem
from infra.http.strict_route import StrictRequest
from infra.http.validation import MissingAs
from infra.postgres.connection import Connection
from infra.postgres.failures import UNAVAILABLE
from infra.security import api_key_errors, api_key_store
from infra.security.api_keys import KEY_ID, KeyActor, KeyRecord, KeyRequest

PREFIX: Final = "/api/v1/api-keys"
_KEY_ID: Final = re.compile(KEY_ID, re.ASCII)


def _key_id_text(text: str) -> str:
    if not _KEY_ID.fullmatch(text):
        raise ValueError
    return text


ManagesKeys = Annotated[Principal, requires("keys:manage")]
KeyId = Annotated[
    str,
    Path(description="the key's id: the third part of its text", examples=[EXAMPLE_ID]),
    AfterValidator(_key_id_text),
]
Pages = Annotated[Paging, Depends(paging)]


async def _identified(
    request: StrictRequest,
    principal: ManagesKeys,
    idempotency_key: Annotated[IdempotencyKey, MissingAs(errors.IDEMPOTENCY_KEY_REQUIRED)],
) -> KeyRequest:
    """Return what identifies a repeated request for a key; unique for the partner and mode."""
    owner = f"{principal.partner_id or '*'}.{'live' if principal.livemode else 'test'}"
    body = await request.strict_json()
    path: str = request.scope["path"]
    return KeyRequest(f"{owner}/{idempotency_key}", fingerprint(request.method, path, body.canonical))


async def _actor(request: Request, principal: ManagesKeys) -> KeyActor:
    return KeyActor("api_key", principal.key_id, context_of(request).request_id)


IdentifiedRequest = Annotated[KeyRequest, Depends(_identified)]
Actor = Annotated[KeyActor, Depends(_actor)]


@asynccontextmanager
async def changing(request: StrictRequest) -> AsyncIterator[Connection]:
    """Hold the one transaction that may change keys; what prevents the change becomes a problem."""
    async with state_of(request)["key_changes"].slots.entered(), connection_of(request) as connection:
        try:
            async with api_key_store.changing_keys(connection):
                yield connection
        except api_key_errors.TooManyKeysError:
            raise Problem(refusals.TOO_MANY_LIVE_KEYS) from None
        except api_key_errors.TooManyOverlappingKeysError as full:
            first_to_end: dict[str, MemberValue] = {"key_id": full.key_id, "ends_at": instant_text(full.ends_at)}
            raise Problem(refusals.TOO_MANY_OVERLAPPING_KEYS, members=first_to_end) from None
        except api_key_errors.UnknownKeyError:
            raise Problem(refusals.API_KEY_NOT_LIVE) from None
        except api_key_errors.RequestMismatchError as other:
            first: dict[str, MemberValue] = {
                "first_used_at": instant_text(other.first_used_at),
                "key_id": other.key_id,
                "differs": await _differences(request, other),
            }
            raise Problem(errors.IDEMPOTENCY_KEY_MISMATCH, members=first) from None
        except api_key_errors.KeyAlreadyMadeError as made:
            raise Problem(refusals.API_KEY_ALREADY_CREATED, members={"key_id": made.key_id}) from None


async def _differences(request: StrictRequest, first: api_key_errors.RequestMismatchError) -> list[str]:
    """Return in what a request differs from the first under its key: `path`, `body`, or both.

    Of the body only a hash is kept, so the same one is found by trying it at the address of the first request.
    """
    path = PREFIX if first.predecessor is None else f"{PREFIX}/{first.predecessor}/rotate"
    body = (await request.strict_json()).canonical
    is_same_body = fingerprint("POST", path, body) == first.fingerprint
    found = {"path": request.scope["path"] != path, "body": not is_same_body}
    return [name for name, is_other in found.items() if is_other]


@asynccontextmanager
async def connection_of(request: Request) -> AsyncIterator[Connection]:
    """Return a connection; an unreachable PostgreSQL becomes a 503."""
    try:
        async with state_of(request)["database"].pool.acquire() as connection:
            yield connection
    except UNAVAILABLE:
        raise Problem(problems.STORE_UNAVAILABLE) from None


async def visible_key(connection: Connection, key_id: str, principal: Principal) -> KeyRecord:
    """Return a key that the caller sees. Somebody else's is treated as missing."""
    found = await api_key_store.find_key(connection, key_id)
    if found is None or not visibility_of(principal).includes(found):
        raise Problem(problems.NOT_FOUND)
    return found


def note_change(request: Request, key_id: str) -> None:
    """Put which key was changed on the log line."""
    context = context_of(request)
    context.log_event = "api_key.changed"
    context.log_fields["changed_key_id"] = key_id
