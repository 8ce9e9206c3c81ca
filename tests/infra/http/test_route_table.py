"""The short way leads where the framework's router leads, for every method and address."""

from typing import Annotated

import pytest
from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from infra.http.auth import Principal, requires
from infra.http.server.raw_route import RawRoute
from infra.http.server.route_table import RouteTable

Writer = Annotated[Principal, requires("orders:write")]
TEMPLATES = [
    "/orders",
    "/orders/batch",
    "/orders/{id}",
    "/orders/{id}/notes",
    "/orders/{id}/notes/{note}",
    "/a/{n:int}",
]


async def respond(_request: Request, _principal: Writer) -> Response:
    return Response()


def routes() -> list[RawRoute]:
    router = APIRouter(route_class=RawRoute)
    for template in TEMPLATES:
        router.add_api_route(template, respond, methods=["POST"])
    router.add_api_route("/orders/{id}", respond, methods=["GET"])
    return [route for route in router.routes if isinstance(route, RawRoute)]


async def way(method: str, path: str) -> tuple[str, dict[str, str]]:
    """Return the template and parameters that the table finds; `others` when it finds nothing."""
    found: list[tuple[str, dict[str, str]]] = []

    async def others(_scope: Scope, _receive: Receive, _send: Send) -> None:
        found.append(("others", {}))

    table = routes()
    for route in table:

        async def served(scope: Scope, _receive: Receive, _send: Send) -> None:
            found.append((scope["route"].path, scope["path_params"]))

        route.app = served
    await RouteTable(table, others)({"type": "http", "method": method, "path": path}, _nothing, _nowhere)
    return found[0]


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def _nowhere(_message: Message) -> None:
    return None


async def test_an_address_of_its_own_is_no_parameter_of_another_route() -> None:
    with pytest.raises(HTTPException) as refused:
        await way("GET", "/orders/batch")

    assert refused.value.status_code == 405


@pytest.mark.parametrize(
    ("method", "path", "template", "params"),
    [
        ("POST", "/orders", "/orders", {}),
        ("POST", "/orders/batch", "/orders/batch", {}),
        ("POST", "/orders/7", "/orders/{id}", {"id": "7"}),
        ("POST", "/orders/7/notes", "/orders/{id}/notes", {"id": "7"}),
        ("POST", "/orders/notes", "/orders/{id}", {"id": "notes"}),
        ("POST", "/orders/7/notes/8", "others", {}),
        ("POST", "/a/7", "others", {}),
        ("POST", "/orders/", "others", {}),
        ("POST", "/orders//notes", "others", {}),
        ("POST", "//orders", "others", {}),
        ("POST", "/orders/7/", "others", {}),
        ("POST", "/orders/7/notes/", "others", {}),
        ("POST", "/orders/7/other", "others", {}),
        ("PUT", "/orders", "others", {}),
        ("HEAD", "/orders/7", "/orders/{id}", {"id": "7"}),
        ("HEAD", "/orders/7/notes", "others", {}),
        ("POST", "", "others", {}),
        ("POST", "/", "others", {}),
    ],
)
async def test_the_table_finds_what_the_router_would_find(
    method: str, path: str, template: str, params: dict[str, str]
) -> None:
    assert await way(method, path) == (template, params)
