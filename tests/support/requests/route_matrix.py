"""Every route of both services as data, taken from the services themselves: a new route is in every suite."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import httpx
import orjson
from fastapi import APIRouter
from fastapi.routing import APIRoute

import command_api.app
import command_api.openapi
import query_api.app
import query_api.openapi
from infra.http.app import ServiceApp
from infra.http.auth import Authenticator, required_scope
from infra.redis.gcra import Rate
from infra.redis.rate_limit import RateLimiter
from tests.support.services.command_service import command_settings
from tests.support.services.query_service import query_settings
from tests.support.services.servers import Database
from tests.support.services.small_service import PEPPER, KnownKeys, WithState

ServiceName = Literal["command", "query"]
ROUTERS: Final[Mapping[ServiceName, tuple[APIRouter, ...]]] = {
    "command": command_api.app.ROUTERS,
    "query": query_api.app.ROUTERS,
}
DOCUMENTS: Final[Mapping[str, dict[str, Any]]] = {
    "command": command_api.openapi.document(),
    "query": query_api.openapi.document(),
}
SAMPLE_IDS: Final = {"key_id": "00000000"}
"""Well-formed ids that nothing has, where they are not UUIDs."""
UNKNOWN_UUID: Final = "019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10"


@dataclass(frozen=True, slots=True)
class Call:
    """One method of one route; `body` and `headers` (those required) are the documented examples, None: no body."""

    service: ServiceName
    method: str
    path: str
    scopes: tuple[str, ...]
    parameters: tuple[str, ...]
    body: Any = field(hash=False)
    headers: Mapping[str, str] = field(hash=False)

    def __str__(self) -> str:
        """Name the call in the output of a test."""
        return f"{self.service}: {self.method} {self.path}"

    def unknown_ids(self) -> dict[str, str]:
        """Return well-formed ids that nothing has."""
        return {name: SAMPLE_IDS.get(name, UNKNOWN_UUID) for name in self.parameters}

    def address(self, ids: Mapping[str, str] | None = None) -> str:
        """Return the path with ids; those not given belong to nothing."""
        return self.path.format(**(self.unknown_ids() | dict(ids or {})))

    async def send(
        self,
        http: httpx.AsyncClient,
        key: str | None,
        ids: Mapping[str, str] | None = None,
        query: str = "",
        *,
        method: str = "",
        blanks: str = "",
        content: bytes = b"",
    ) -> httpx.Response:
        """Send it, under a new idempotency key and always the same request id; `blanks` around each header value.

        `content`: the body of a route that documents none.
        """
        headers = dict(self.headers) | {"x-request-id": "r", "idempotency-key": secrets.token_hex(8)}
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        if self.body is not None:
            headers["content-type"], content = "application/json", orjson.dumps(self.body)
        headers = {name: f"{blanks}{value}{blanks}" for name, value in headers.items()}
        return await http.request(method or self.method, self.address(ids) + query, content=content, headers=headers)


def calls() -> list[Call]:
    """Return every method of every route of both services."""
    return [
        _call(name, route, method)
        for name, routers in ROUTERS.items()
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]


def _call(service: ServiceName, route: APIRoute, method: str) -> Call:
    operation = DOCUMENTS[service]["paths"][route.path_format][method.lower()]
    media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    body = next((each["value"] for each in media.get("examples", {}).values()), media.get("example"))
    headers = {
        each["name"].lower(): each["example"]
        for each in operation.get("parameters", ())
        if each["in"] == "header" and each["required"]
    }
    return Call(service, method, route.path, required_scope(route).scopes, tuple(route.param_convertors), body, headers)


NOWHERE: Final = Database(*(["postgresql://nobody@127.0.0.1:1/nothing"] * 5))


def app_of(service: ServiceName, database: Database = NOWHERE) -> ServiceApp:
    """Return a service; without a database it starts too, and responds 503 where it needs one."""
    if service == "command":
        return command_api.app.create_app(command_settings(database))
    return query_api.app.create_app(query_settings(database))


@asynccontextmanager
async def without_database(
    service: ServiceName, rate: Rate | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, KnownKeys]]:
    """Run a service with keys in memory and no database; without a `rate` nobody is limited."""
    app, keys = app_of(service), KnownKeys()
    limiter = None if rate is None else RateLimiter(rate, None)
    async with app.router.lifespan_context(app) as state:
        known = {**(state or {}), "authenticator": Authenticator(PEPPER.encode(), keys, limiter=limiter)}
        transport = httpx.ASGITransport(WithState(app, known), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://harbor.test") as client:
            yield client, keys
