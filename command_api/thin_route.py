"""A route that is declared like any FastAPI route and served without FastAPI's machinery (decision 0040).

The signature of the endpoint and its `dependencies` declare everything for OpenAPI: scopes, headers, body model. When
a request comes, only the scope check runs; the endpoint reads the raw request and gives a response of bytes. A test
holds the declaration to the behaviour.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infra.http.auth import Principal, RequiredScope

Endpoint = Callable[[Request, Principal], Awaitable[Response]]


class ThinRoute(APIRoute):
    """An `APIRoute` whose endpoint takes `(request, principal)` and gives a `Response`."""

    def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        guards = [found.call for found in self.dependant.dependencies if isinstance(found.call, RequiredScope)]
        if len(guards) != 1:
            raise TypeError(f"{path} declares its scope once, with requires(...)")
        self._guard = guards[0]
        self._endpoint = endpoint
        self.app = self._serve

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        response = await self._endpoint(request, await self._guard(request))
        await response(scope, receive, send)
