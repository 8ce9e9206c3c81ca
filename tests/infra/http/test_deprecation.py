"""An address that will go says so with every answer, refusals included, and in the document (RFC 9745, RFC 8594)."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from infra.http.app import ServiceApp, build_app
from infra.http.auth import Authenticator, Principal, requires
from infra.http.deprecation import deprecated
from infra.http.server.raw_route import RawRoute
from tests.support.small_service import LIMITS, PEPPER, KnownKeys, client_of

SINCE = datetime(2027, 1, 1, tzinfo=UTC)
SUNSET = datetime(2027, 7, 1, tzinfo=UTC)
TOLD = {
    "deprecation": "@1798761600",
    "sunset": "Thu, 01 Jul 2027 00:00:00 GMT",
    "link": '</docs>; rel="deprecation"',
}


def service(keys: KnownKeys) -> ServiceApp:
    """Give a service with one address that is deprecated, one that goes, and one that stays."""
    router = APIRouter(route_class=RawRoute)

    @router.get("/api/v1/old", dependencies=[deprecated(SINCE, SUNSET, "/docs")])
    async def old(_request: Request, _principal: Annotated[Principal, requires("orders:read")]) -> Response:
        return Response(b"{}", media_type="application/json")

    @router.get("/api/v1/aging", dependencies=[deprecated(SINCE)])
    async def aging(_request: Request, _principal: Annotated[Principal, requires("orders:read")]) -> Response:
        return Response(b"{}", media_type="application/json")

    @router.get("/api/v1/new")
    async def new(_request: Request, _principal: Annotated[Principal, requires("orders:read")]) -> Response:
        return Response(b"{}", media_type="application/json")

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[Mapping[str, Any]]:
        yield {"authenticator": Authenticator(PEPPER.encode(), keys)}

    return build_app(
        title="Small",
        description="For tests.",
        routers=[router],
        lifespan=lifespan,
        limits=LIMITS,
        translate=lambda _error: None,
    )


@pytest.mark.parametrize("key", ["good", "without the scope", "none"])
async def test_every_answer_of_a_deprecated_address_says_so(key: str) -> None:
    keys = KnownKeys()
    issued = {"good": keys.issue(), "without the scope": keys.issue(scopes=["orders:write"]), "none": ""}
    async with client_of(service(keys), x_api_key=issued[key]) as client:
        answers = [await client.get(f"/api/v1/{name}") for name in ("old", "aging", "new")]

    told = [{name: answer.headers[name] for name in TOLD if name in answer.headers} for answer in answers]
    assert told == [TOLD, {"deprecation": TOLD["deprecation"]}, {}]
    assert len({answer.status_code for answer in answers}) == 1


def test_the_document_marks_what_is_deprecated_and_its_headers() -> None:
    paths = service(KnownKeys()).openapi()["paths"]

    old, new = paths["/api/v1/old"]["get"], paths["/api/v1/new"]["get"]
    assert (old["deprecated"], new.get("deprecated", False)) == (True, False)
    assert {"Deprecation", "Sunset"} <= set(old["responses"]["200"]["headers"])
    assert "Deprecation" not in new["responses"]["200"]["headers"]


@pytest.mark.parametrize(
    ("since", "sunset"),
    [(datetime(2027, 1, 1), None), (SINCE, datetime(2028, 1, 1)), (SUNSET, SINCE)],  # noqa: DTZ001  # naive on purpose
)
def test_times_have_an_offset_and_an_address_goes_after_it_is_deprecated(
    since: datetime, sunset: datetime | None
) -> None:
    with pytest.raises(ValueError, match="before it goes"):
        deprecated(since, sunset)
