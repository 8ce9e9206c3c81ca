"""HEAD is served wherever GET is: the same head, no body (RFC 9110, 9.3.2); what is public takes no parameters."""

import httpx
import pytest

from infra.http.app import PUBLIC_PATHS
from tests.support.requests.route_matrix import Call, ServiceName, calls, without_database

GETS = [call for call in calls() if call.method == "GET"]
UNLIKE = {"x-request-id", "date"}
"""Headers in which any two responses differ."""


def head_of(response: httpx.Response) -> tuple[int, dict[str, str]]:
    return response.status_code, {name: value for name, value in response.headers.items() if name not in UNLIKE}


@pytest.mark.parametrize("call", GETS, ids=str)
async def test_a_route_with_get_has_head(call: Call) -> None:
    async with without_database(call.service) as (http, keys):
        key = keys.issue(scopes=call.scopes)
        got, head = await call.send(http, key), await call.send(http, key, method="HEAD")
        stranger = await call.send(http, None, method="HEAD")
        elsewhere = await call.send(http, key, method="PUT")

    assert (head_of(head), head.content) == (head_of(got), b"")
    assert int(head.headers["content-length"]) == len(got.content)
    assert (stranger.status_code, stranger.content) == (401, b"")
    assert {"GET", "HEAD"} <= set(elsewhere.headers["allow"].split(", "))


@pytest.mark.parametrize("service", ["command", "query"])
async def test_so_has_every_public_address(service: ServiceName) -> None:
    async with without_database(service) as (http, _keys):
        for path in PUBLIC_PATHS - {"/metrics"}:
            address = path.format(name="start.js", code="not_found")
            got, head = await http.get(address), await http.head(address)
            assert (head_of(head), head.content) == (head_of(got), b""), address
        counted = await http.head("/metrics")

    assert (counted.status_code, counted.content) == (200, b"")


@pytest.mark.parametrize("service", ["command", "query"])
async def test_a_public_address_ignores_what_somebody_appends_to_it(service: ServiceName) -> None:
    async with without_database(service) as (http, _keys):
        for path in PUBLIC_PATHS - {"/metrics"}:
            address = path.format(name="start.js", code="not_found")
            plain, appended = await http.get(address), await http.get(f"{address}?a=1&a=1")
            assert (appended.status_code, appended.content) == (plain.status_code, plain.content), address


async def test_an_address_without_get_has_no_head() -> None:
    async with without_database("command") as (http, _keys):
        response = await http.head("/api/v1/orders")

    assert (response.status_code, response.headers["allow"]) == (405, "POST")
