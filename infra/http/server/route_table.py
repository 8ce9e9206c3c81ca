"""Find a raw route by one look into a dictionary instead of a walk through the framework's layers.

Starlette tries the routes of a service one after the other, each by a regular expression, and FastAPI wraps every
request into two exit stacks that a `RawRoute` has no use for: some 10 us, a tenth of what a whole create may take.
Whatever this table does not know, including every refusal (404, 405), still goes the framework's way. HEAD is served as
GET wherever there is GET: no route declares it.
"""

from collections.abc import Iterable
from typing import Final

from starlette.convertors import StringConvertor
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.http.server.raw_route import RawRoute

_FOUND: Final = ("route", "path_params")
"""What the search for a route leaves in the scope."""


class RouteTable:
    """ASGI: raw routes without a parameter, or with one as the last or last but one segment; `others` for the rest."""

    def __init__(self, routes: Iterable[BaseRoute], others: ASGIApp) -> None:
        self._others = others
        self._plain: dict[tuple[str, str], RawRoute] = {}
        self._paths: set[str] = set()
        self._of_one: dict[tuple[str, str, str], tuple[RawRoute, str]] = {}
        for route in routes:
            if isinstance(route, RawRoute):
                self._add(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            method, path = scope["method"], scope["path"]
            route = self._plain.get((method, path))
            if route is not None:
                scope["path_params"] = {}
                scope["route"] = route
                await route.app(scope, receive, send)
                return
            found = self._with_parameter(method, path)
            if found is not None:
                if path in self._paths:  # the address of a route of its own is no parameter of another one
                    raise HTTPException(405)
                scope["route"], scope["path_params"] = found
                await scope["route"].app(scope, receive, send)
                return
            if method == "HEAD":
                await self._serve_head(scope, receive, send)
                return
        await self._others(scope, receive, send)

    async def _serve_head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request as GET; the request middleware leaves out the body (RFC 9110, 9.3.2)."""
        as_get = {**scope, "method": "GET"}
        try:
            await self(as_get, receive, send)
        finally:
            scope.update({name: as_get[name] for name in _FOUND if name in as_get})

    def _with_parameter(self, method: str, path: str) -> tuple[RawRoute, dict[str, str]] | None:
        head, _, last = path.rpartition("/")
        if not last:  # no address ends with a slash
            return None
        before, _, middle = head.rpartition("/")
        found = self._of_one.get((method, before, last)) if middle else None
        if found is not None:
            return found[0], {found[1]: middle}
        found = self._of_one.get((method, head, ""))
        return None if found is None else (found[0], {found[1]: last})

    def _add(self, route: RawRoute) -> None:
        """Take a route into the table unless an earlier one has its address, as the framework would decide it."""
        names = list(route.param_convertors)
        for method in route.methods or ():
            if not names:
                self._paths.add(route.path)
                self._plain.setdefault((method, route.path), route)
            elif len(names) == 1 and isinstance(route.param_convertors[names[0]], StringConvertor):
                before, _, after = route.path_format.partition(f"/{{{names[0]}}}")
                if after.count("/") <= 1:
                    self._of_one.setdefault((method, before, after.removeprefix("/")), (route, names[0]))
