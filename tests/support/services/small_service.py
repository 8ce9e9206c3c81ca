"""A service of a few routes behind the real gate, for tests of what every service shares."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import httpx
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from infra import clock
from infra.http.addresses import services
from infra.http.app import ServiceApp, build_app
from infra.http.auth import Authenticator, Principal, requires
from infra.http.context import context_of
from infra.http.cursors import Cursors
from infra.http.guards import Limits
from infra.http.json_body import BodyLimits
from infra.http.problems import NOT_FOUND, Problem
from infra.http.server.raw_route import RawRoute
from infra.http.server.server import Listen, serve
from infra.observability.health import NotReadyReason
from infra.security import api_keys
from infra.security.api_keys import PARTNER_SCOPES, KeyRecord
from infra.security.key_cache import KeyStoreUnavailableError
from infra.settings import PublicSettings
from tests.support.services.ports import free_port
from tests.support.waiting import eventually

PEPPER = "p" * 32
LIMITS = Limits(max_in_flight=4, deadline_s=60.0, max_body_bytes=1000)
IMPATIENT = replace(LIMITS, deadline_s=0.5)
"""For what is to run into the deadline; whatever else is asked must not, however slow the machine is."""

Writer = Annotated[Principal, requires("orders:write")]


class KnownKeys:
    """A store of keys in memory that can be taken away; `issue` makes a key."""

    def __init__(self) -> None:
        self.records: dict[str, KeyRecord] = {}
        self.is_down = False

    def issue(
        self, partner_id: str | None = "acme", *, livemode: bool = False, scopes: Iterable[str] = PARTNER_SCOPES
    ) -> str:
        """Make a key and give its text."""
        key = api_keys.generate(livemode)
        hashed = api_keys.hash_key(PEPPER.encode(), key.text)
        self.records[key.key_id] = KeyRecord(
            key.key_id, partner_id, livemode, frozenset(scopes), hashed, "test", clock.now()
        )
        return key.text

    async def get(self, key_id: str) -> KeyRecord | None:
        """Return a record."""
        if self.is_down:
            raise KeyStoreUnavailableError("down")
        return self.records.get(key_id)

    def note_use(self, key_id: str) -> None:
        """Take no note."""


class BytesRoute(RawRoute):
    """A raw route whose endpoint reads the body itself, whatever it is."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.takes_body = True


@dataclass(slots=True)
class SmallService:
    """The application, the keys it knows, and an event that its slow route waits for."""

    app: ServiceApp
    keys: KnownKeys
    release: asyncio.Event
    waiting: list[NotReadyReason] = field(default_factory=list)


def small_service(limits: Limits = LIMITS, routers: Sequence[APIRouter] = (), **public: Any) -> SmallService:
    """Return a service of POST things, GET things/{id} (none is found), slow, broken, PUT and GET twice, and more.

    `public` are fields of the settings of that name.
    """
    keys, release, settings = KnownKeys(), asyncio.Event(), PublicSettings(**public)
    router = APIRouter(route_class=BytesRoute)
    waiting: list[NotReadyReason] = []

    @router.post("/api/v1/things", status_code=201)
    async def create(request: Request, principal: Writer) -> Response:
        body = await request.body()
        context_of(request).log_event = "thing.created"
        return Response(b'{"bytes":%d,"partner":"%b"}' % (len(body), (principal.partner_id or "").encode()), 201)

    @router.get("/api/v1/things/{thing_id}")  # noqa: FAST003  # a thin route reads the request itself
    async def find(_request: Request, _principal: Writer) -> Response:
        raise Problem(NOT_FOUND)

    @router.get("/api/v1/slow")
    async def slow(_request: Request, _principal: Writer) -> Response:
        await release.wait()
        return Response(b"{}")

    @router.get("/api/v1/broken")
    async def broken(_request: Request, _principal: Writer) -> Response:
        raise RuntimeError("secret-canary")

    @router.put("/api/v1/twice")
    async def put(_request: Request, _principal: Writer) -> Response:
        return Response(b"{}")

    @router.get("/api/v1/twice")
    async def get(_request: Request, principal: Writer) -> Response:
        return Response(principal.tenant.id.encode())

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[Mapping[str, Any]]:
        async def ready() -> Sequence[NotReadyReason]:
            return waiting

        authenticator = Authenticator(PEPPER.encode(), keys)
        bodies = BodyLimits(limits.max_body_bytes, limits.deadline_s)
        yield {"authenticator": authenticator, "ready": ready, "bodies": bodies, "cursors": Cursors(b"c" * 32)}

    app = build_app(
        title="Small",
        description="For tests.",
        routers=[router, *routers],
        lifespan=lifespan,
        limits=limits,
        translate=lambda _error: None,
        services=services("command", settings),
        public=settings,
    )
    return SmallService(app, keys, release, waiting)


class WithState:
    """What uvicorn does with the state that a lifespan yields."""

    def __init__(self, app: ASGIApp, state: Mapping[str, Any]) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = dict(self._state)
        await self._app(scope, receive, send)


@asynccontextmanager
async def client_of(app: ServiceApp, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """Run the application's lifespan and give a client that calls it in this process."""
    async with app.router.lifespan_context(app) as state:
        transport = httpx.ASGITransport(WithState(app, state or {}), raise_app_exceptions=False)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(transport=transport, base_url="http://harbor.test", headers=named) as client:
            yield client


@asynccontextmanager
async def listening(app: ASGIApp, head_deadline_s: float = 10.0, flush_deadline_s: float = 10.0) -> AsyncIterator[int]:
    """Serve the application on a real port and give the port."""
    stop, port = asyncio.Event(), free_port()
    task = asyncio.create_task(serve(app, stop, Listen("127.0.0.1", port, head_deadline_s, flush_deadline_s)))

    async def answers() -> bool:
        try:
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await eventually(answers)
    try:
        yield port
    finally:
        stop.set()
        await task


async def call(port: int, raw: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect and send bytes as they are, in one go: they have arrived before a server looks how long they take."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setblocking(False)
    sent = connection.send(raw) if raw else 0
    reader, writer = await asyncio.open_connection(sock=connection)
    writer.write(raw[sent:])
    return reader, writer


async def talk(port: int, raw: bytes, timeout_s: float = 60.0) -> bytes:
    """Send bytes as they are and give everything that comes back until the server closes."""
    reader, writer = await call(port, raw)
    answer = b""
    try:
        async with asyncio.timeout(timeout_s):
            while part := await reader.read(65536):
                answer += part
    except ConnectionError:
        pass  # it may have hung up on what was still being sent, after its answer
    finally:
        writer.close()
    return answer


class RecordedTransport(asyncio.Transport):
    """Keeps each write; `is_gone` makes it say that the peer has left."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_gone = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the data."""
        self.written.append(bytes(data))

    def write_eof(self) -> None:
        """Keep that the end was written."""
        self.written.append(b"EOF")

    def close(self) -> None:
        """Keep that it was closed."""
        self.written.append(b"CLOSED")
        self.is_gone = True

    def abort(self) -> None:
        """Keep that it was aborted."""
        self.written.append(b"ABORTED")
        self.is_gone = True

    def is_closing(self) -> bool:
        """Return whether it was closed or the peer has left."""
        return self.is_gone

    def pause_reading(self) -> None:
        """Nothing is read."""

    def resume_reading(self) -> None:
        """Nothing is read."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Nobody calls a protocol."""
