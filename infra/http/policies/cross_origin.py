"""Which web pages may call the service: an allow-list of origins, empty unless the operator fills it.

Starlette's middleware knows the rules of CORS. Here it is in two parts, because refusals must carry its headers too (a
page could not read them otherwise), and a preflight must pass the request middleware like every other request.

Cookies are never allowed: an API key travels in a header that the page sets itself.
"""

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.http.problems import CROSS_ORIGIN_REFUSED, Problem

METHODS: Final = ("GET", "HEAD", "POST", "PATCH", "DELETE")
REQUEST_HEADERS: Final = (
    "Authorization",
    "Consistency-Token",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Traceparent",
    "X-API-Key",
    "X-Request-ID",
)
"""What a page may send."""
_REFUSED: Final = b"Disallowed CORS "
_OF_A_BODY: Final = ("content-length", "content-type")


class _Rules(CORSMiddleware):
    """Starlette's middleware for pages of these origins, which may read the response headers `exposed`."""

    def __init__(self, app: ASGIApp, origins: Collection[str], exposed: Collection[str] = ()) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            allow_private_network=True,  # whoever lists an origin means it wherever the service runs
            expose_headers=exposed,
        )


class CrossOrigin(_Rules):
    """ASGI, in front of everything: adds to every response what lets a page of these origins read it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await self.simple_response(scope, receive, send, request_headers=Headers(scope=scope))


class Preflight(_Rules):
    """ASGI, around the routes: answers a browser that asks whether a page may send a request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises:
            Problem: 403; the page may not send it, for its origin, the method or a header.
        """
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            asked = Headers(scope=scope)
            if "origin" in asked and "access-control-request-method" in asked:
                await _allowed(self.preflight_response(asked))(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _allowed(found: Response) -> Response:
    headers = {name: value for name, value in found.headers.items() if name not in _OF_A_BODY}
    body = bytes(found.body)
    if body.startswith(_REFUSED):
        why = body.removeprefix(_REFUSED).decode("ascii")
        raise Problem(CROSS_ORIGIN_REFUSED, f"{CROSS_ORIGIN_REFUSED.detail} Not allowed: {why}.", headers=headers)
    return Response(status_code=204, headers=headers)
