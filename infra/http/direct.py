"""Calls an endpoint without FastAPI's dependency solver, which costs more than everything else in front of it.

An endpoint of the form `async def f(request: Request, principal: Annotated[Principal, requires(...)], id: str) ->
Response` needs nothing of the solver: one dependency we know, path parameters as text, a finished response. FastAPI
still owns its declaration and its OpenAPI. Any other signature keeps FastAPI's own way. Decision 0050 has the numbers.
"""

import inspect
from collections.abc import Awaitable, Callable
from typing import get_type_hints

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.http.auth import Principal, RequiredScope

Endpoint = Callable[..., Awaitable[Response]]


def direct_app(route: APIRoute) -> ASGIApp | None:
    """Give an ASGI application that serves the route directly, or None when its signature asks for more."""
    guards = [dependency.call for dependency in route.dependant.dependencies]
    endpoint = route.endpoint
    if len(guards) != 1 or not isinstance(guards[0], RequiredScope) or not inspect.iscoroutinefunction(endpoint):
        return None
    hints = get_type_hints(endpoint)
    returned = hints.pop("return", None)
    if not (isinstance(returned, type) and issubclass(returned, Response)):
        return None
    takes_request = hints.pop("request", None) is Request
    path_names = tuple(name for name, kind in hints.items() if name in route.param_convertors and kind is str)
    takes_principal = hints.get("principal") is Principal
    if set(hints) - set(path_names) - {"principal"}:
        return None
    return _app(endpoint, guards[0], path_names, takes_request, takes_principal)


def _app(
    endpoint: Endpoint, guard: RequiredScope, path_names: tuple[str, ...], takes_request: bool, takes_principal: bool
) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        principal = await guard(request)
        arguments: dict[str, object] = {name: scope["path_params"][name] for name in path_names}
        if takes_request:
            arguments["request"] = request
        if takes_principal:
            arguments["principal"] = principal
        response = await endpoint(**arguments)
        await response(scope, receive, send)

    return app
