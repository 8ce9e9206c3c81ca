"""A route that FastAPI declares and that is served without FastAPI's dependency solver.

The solver and its exit stacks cost more than everything else in front of an endpoint together (decision 0050). The
endpoint's signature and its `dependencies` still say everything OpenAPI shows, but only the scope is checked for it:
the endpoint reads the raw request, which it wants to do more strictly than FastAPI would.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infra.http.auth import Principal, RequiredScope

Endpoint = Callable[[Request, Principal], Awaitable[Response]]


class ReadyResponse(Response):
    """A response whose header lines are ready: nothing is encoded, copied or guessed. Names are in lower case."""

    def __init__(self, body: bytes, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.body = body
        self.status_code = status
        self.raw_headers = [*headers, (b"content-length", b"%d" % len(body))]
        self.background = None


class DeclaredRoute(APIRoute):
    """An `APIRoute` whose endpoint is `async def f(request, principal) -> Response`."""

    def __init__(self, path: str, endpoint: Endpoint, **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        scopes = [each.call for each in self.dependant.dependencies if isinstance(each.call, RequiredScope)]
        if len(scopes) != 1:
            raise TypeError(f"{path}: the endpoint takes a principal and declares its scope once, with requires(...)")
        self._required = scopes[0]
        self._endpoint = endpoint
        self.app = self._serve

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        response = await self._endpoint(request, await self._required(request))
        await response(scope, receive, send)
