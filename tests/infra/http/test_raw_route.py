"""A raw route is called with what its signature declares, and a signature that it cannot read stops the start."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import orjson
import pytest
from fastapi import APIRouter, BackgroundTasks, Body, Cookie, Depends, Header, Query
from pydantic import BaseModel, ConfigDict, PlainValidator
from starlette.responses import Response

from infra.http.addresses import services
from infra.http.app import build_app
from infra.http.auth import Authenticator, Principal, principal_of, requires
from infra.http.json_body import BodyLimits, InvalidBodyError
from infra.http.problems import NOT_FOUND, VALIDATION_FAILED, Problem
from infra.http.server.raw_route import RawRequest, RawRoute
from infra.settings import PublicSettings
from tests.support.services.small_service import LIMITS, PEPPER, KnownKeys, client_of

Writer = requires("orders:write")


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    size: int = 0


def version(text: str | None) -> int:
    if text is None or not text.isdigit():
        raise Problem(NOT_FOUND)
    return int(text)


Version = Annotated[int, PlainValidator(version, json_schema_input_type=str), Header(alias="If-Match")]
log: list[str] = []


async def first(request: RawRequest, version: Version) -> str:
    log.append(f"first {version}")
    return (await request.strict_json()).canonical.decode()


async def second(before: Annotated[str, Depends(first)], x_request_id: Annotated[str, Header()] = "none") -> str:
    log.append("second")
    return f"{before} {x_request_id}"


async def third(principal: Annotated[Principal, Writer]) -> None:
    log.append(f"third {principal.partner_id}")


router = APIRouter(route_class=RawRoute)


@router.post("/things/{thing}", dependencies=[Depends(third)])
async def change(
    request: RawRequest,
    principal: Annotated[Principal, Writer],
    thing: Annotated[str, PlainValidator(str.upper)],
    read: Annotated[str, Depends(second)],
    body: Annotated[Thing, Body()] = Thing(size=7),  # noqa: B008  # as FastAPI wants a default
) -> Response:
    assert principal_of(request) is principal
    return Response(orjson.dumps({"thing": thing, "read": read, "size": body.size}))


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    keys = KnownKeys()
    log.clear()

    def translate(error: Exception) -> Problem | None:
        return Problem(VALIDATION_FAILED, error.model.__name__) if isinstance(error, InvalidBodyError) else None

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[dict[str, Any]]:
        yield {"authenticator": Authenticator(PEPPER.encode(), keys), "bodies": BodyLimits(100, 1.0)}

    app = build_app(
        title="t",
        description="d",
        routers=[router],
        lifespan=lifespan,
        limits=LIMITS,
        translate=translate,
        services=services("command", PublicSettings()),
        public=PublicSettings(),
    )
    async with client_of(app, Authorization=f"Bearer {keys.issue()}", If_Match="3") as client:
        yield client


async def test_the_arguments_are_what_the_request_says_read_from_left_to_right(http: httpx.AsyncClient) -> None:
    response = await http.post("/things/a", json={"size": 1})

    assert response.json() == {"thing": "A", "read": '{"size":1} none', "size": 1}
    assert log == ["third acme", "first 3", "second"]


async def test_what_is_left_out_has_its_default(http: httpx.AsyncClient) -> None:
    assert (await http.post("/things/a", headers={"x-request-id": "r"})).json()["read"] == "{} r"
    assert (await http.post("/things/a")).json()["size"] == 0, "a missing body is an empty object"


async def test_a_required_header_that_is_missing_is_refused_by_its_type_before_the_body_is_read(
    http: httpx.AsyncClient,
) -> None:
    del http.headers["if-match"]

    response = await http.post("/things/a", content=b"{", headers={"content-type": "application/json"})

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_without_a_key_nothing_is_read(http: httpx.AsyncClient) -> None:
    del http.headers["authorization"]

    assert (await http.post("/things/a", content=b"{")).status_code == 401
    assert log == []


async def a_query(_thing: Annotated[str, Query()]) -> Response:
    return Response()


async def a_cookie(_thing: Annotated[str, Cookie()]) -> Response:
    return Response()


async def background_tasks(_tasks: BackgroundTasks) -> Response:
    return Response()


async def two_bodies(one: Thing, other: Thing) -> Response:
    return Response(f"{one} {other}")


async def a_list(_things: list[Thing]) -> Response:
    return Response()


async def a_list_header(_accept_language: Annotated[str, Header()]) -> Response:
    return Response()


def not_async() -> Response:
    return Response()


async def a_generator() -> AsyncIterator[str]:
    yield ""


async def below(_value: Annotated[object, Depends(a_query)]) -> Response:
    return Response()


@pytest.mark.parametrize(
    "endpoint",
    [a_query, a_cookie, background_tasks, two_bodies, a_list, a_list_header, not_async, a_generator, below],
)
def test_a_signature_that_is_not_understood_stops_the_start(endpoint: Callable[..., Any]) -> None:
    with pytest.raises(TypeError):
        RawRoute("/things", endpoint, methods=["POST"], dependencies=[Writer])


def test_a_route_without_a_scope_stops_the_start() -> None:
    async def open_to_all() -> Response:
        return Response()

    with pytest.raises(TypeError, match="declare the scope"):
        RawRoute("/things", open_to_all, methods=["POST"])
