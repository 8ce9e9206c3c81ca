"""The raw limit of the write path: raw ASGI and our appender, nothing between them.

No authentication, no validation, no decision, no logs: the body is taken as it is, padded to the size of what the real
service stores for it, and appended under the request's idempotency key. HARBOR_POSTGRES__URL says where,
BENCH_PAYLOAD_BYTES and BENCH_RESPONSE_BYTES how large the event and the recorded response are.
"""

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.types import Receive, Scope, Send

from infra import clock
from infra.event_store.append_channel import PostgresAppendChannel
from infra.event_store.appender import Appender
from infra.event_store.protocol import AppendCommand, Appended, NewEvent
from infra.postgres.pool import connect
from infra.settings import PostgresSettings, load
from tests.bench.peers.asgi import respond

_PAYLOAD_BYTES: Final = int(os.environ.get("BENCH_PAYLOAD_BYTES", "0"))
_RESPONSE: Final = b"{" + b" " * (int(os.environ.get("BENCH_RESPONSE_BYTES", "2")) - 2) + b"}"


class GroupCommit:
    """The application; the appender lives as long as the server."""

    def __init__(self) -> None:
        self._appender: Appender | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Append what was sent."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._appender is None or scope["method"] == "GET":
            await respond(send, 200, b"{}")
        else:
            outcome = await self._appender.append(_command(_key(scope), await _body(receive)))
            is_new = isinstance(outcome, Appended)
            await respond(send, 201 if is_new else 409, _RESPONSE)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with _opened() as self._appender:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


@asynccontextmanager
async def _opened() -> AsyncIterator[Appender]:
    settings = load(PostgresSettings)
    channel = PostgresAppendChannel(lambda: connect(settings, application_name="bench-group-commit"))
    async with Appender(channel) as appender:
        yield appender


def _key(scope: Scope) -> str:
    key: bytes = next(value for name, value in scope["headers"] if name == b"idempotency-key")
    return key.decode()


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    return body


def _command(key: str, body: bytes) -> AppendCommand:
    event = NewEvent(
        event_id=clock.new_id(),
        type="order.created",
        schema_version=1,
        occurred_at=clock.now(),
        payload=body.ljust(_PAYLOAD_BYTES),
        actor="api_key:bench",
        correlation_id=key,
    )
    return AppendCommand(
        tenant_id="acme.test",
        key=key,
        fingerprint=hashlib.sha256(body).digest(),
        stream_id=clock.new_id(),
        stream_type="order",
        expected_version=0,
        events=(event,),
        status=201,
        response=_RESPONSE,
    )


app: Final = GroupCommit()
