"""Every route x every scope x every kind of key, on both services: only the scopes declared at a route open it.

The routes come from the services, their bodies from the documented examples: a new route is tested without a line
here, and one that declares no scope or documents no example fails.
"""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.routing import Route

from infra.http.app import PUBLIC_PATHS
from infra.http.openapi.examples import resolved
from infra.security.api_keys import INSTALLATION_SCOPES, PARTNER_SCOPES, SCOPES, generate
from tests.support.requests.route_matrix import DOCUMENTS, Call, ServiceName, app_of, calls, without_database
from tests.support.services.small_service import KnownKeys

CALLS = calls()
EVERY_CALL = pytest.mark.parametrize("call", CALLS, ids=str)
WITHOUT_BODY = pytest.mark.parametrize("call", [call for call in CALLS if call.body is None], ids=str)
NO_BODY_TAKEN = {
    "pointer": "",
    "code": "body_not_taken",
    "detail": "This request takes no body: send none, or {}.",
}
OWNERS: list[tuple[str | None, frozenset[str]]] = [("acme", PARTNER_SCOPES), (None, INSTALLATION_SCOPES)]


@pytest.fixture
async def service(call: Call) -> AsyncIterator[tuple[httpx.AsyncClient, KnownKeys]]:
    async with without_database(call.service) as running:
        yield running


def is_denied_by_scope(call: Call, answer: httpx.Response) -> bool:
    """Return whether the declaration of the route refused the key; a finer rule inside names fewer scopes."""
    if answer.status_code != 403:
        return False
    problem = answer.json()
    return (problem["code"], problem.get("required_scopes")) == ("scope_missing", list(call.scopes))


@pytest.mark.parametrize("service_name", ["command", "query"])
def test_only_public_addresses_are_open_and_only_for_reading(service_name: ServiceName) -> None:
    open_to_all = [route for route in app_of(service_name).routes if not hasattr(route, "dependant")]

    assert all(isinstance(route, Route) for route in open_to_all)
    assert {getattr(route, "path", "") for route in open_to_all} == PUBLIC_PATHS
    assert all(getattr(route, "methods", None) == {"GET", "HEAD"} for route in open_to_all)


@EVERY_CALL
def test_a_route_declares_which_scopes_open_it(call: Call) -> None:
    assert call.scopes, f"{call} can be called by anybody"
    assert set(call.scopes) <= SCOPES
    assert call.service == "command" or call.method == "GET", "the query service only reads"
    assert call.service == "command" or all(scope.endswith(":read") for scope in call.scopes)


@EVERY_CALL
async def test_a_route_needs_a_good_key(call: Call, service: tuple[httpx.AsyncClient, KnownKeys]) -> None:
    http, _keys = service

    answers = [await call.send(http, key) for key in (None, generate(livemode=False).text, "nonsense")]

    codes = [(answer.status_code, answer.json()["code"]) for answer in answers]
    assert codes == [(401, "api_key_missing"), (401, "api_key_invalid"), (401, "api_key_malformed")]


@EVERY_CALL
async def test_a_query_parameter_that_a_route_does_not_take_is_refused_once_the_key_is_known(
    call: Call, service: tuple[httpx.AsyncClient, KnownKeys]
) -> None:
    http, keys = service

    refused = await call.send(http, keys.issue(scopes=call.scopes), query="?dry_run=true")
    stranger = await call.send(http, None, query="?dry_run=true")

    assert (refused.status_code, [each["code"] for each in refused.json()["errors"]]) == (422, ["parameter_unknown"])
    assert stranger.status_code == 401


@WITHOUT_BODY
async def test_a_body_that_a_route_does_not_take_is_refused_once_the_key_is_known(
    call: Call, service: tuple[httpx.AsyncClient, KnownKeys]
) -> None:
    http, keys = service
    key, unwanted = keys.issue(scopes=call.scopes), (b'{"dry_run":true}', b"{bad json", b"[]", b"text")

    refused = [await call.send(http, key, content=content) for content in unwanted]
    passed = [await call.send(http, key, content=content) for content in (b"", b"{}", b" \n")]
    stranger = await call.send(http, None, content=unwanted[0])

    assert [(each.status_code, each.json()["errors"]) for each in refused] == [(422, [NO_BODY_TAKEN])] * len(refused)
    assert [(each.status_code, each.json()["code"]) for each in passed] == [(503, "store_unavailable")] * len(passed)
    assert stranger.status_code == 401


@EVERY_CALL
async def test_each_scope_opens_the_routes_that_name_it_and_no_other(
    call: Call, service: tuple[httpx.AsyncClient, KnownKeys]
) -> None:
    http, keys = service
    for partner_id, possible in OWNERS:
        for scope in sorted(possible):
            for livemode in (False, True):
                answer = await call.send(http, keys.issue(partner_id, livemode=livemode, scopes={scope}))
                assert is_denied_by_scope(call, answer) is (scope not in call.scopes), (partner_id, scope)
                assert answer.status_code != 401


@EVERY_CALL
async def test_all_other_scopes_together_do_not_open_a_route(
    call: Call, service: tuple[httpx.AsyncClient, KnownKeys]
) -> None:
    http, keys = service
    for partner_id, possible in OWNERS:
        answer = await call.send(http, keys.issue(partner_id, scopes=possible - set(call.scopes)))
        assert is_denied_by_scope(call, answer), partner_id


@EVERY_CALL
async def test_the_documented_example_is_accepted_by_its_route_which_without_a_database_is_503(
    call: Call, service: tuple[httpx.AsyncClient, KnownKeys]
) -> None:
    http, keys = service

    answers = [await call.send(http, keys.issue(partner_id, scopes=possible)) for partner_id, possible in OWNERS]

    allowed = [answer for answer in answers if answer.status_code != 403]
    assert allowed, "no kind of key may call it"
    for answer in allowed:
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")


@EVERY_CALL
async def test_blanks_around_header_values_are_no_part_of_them(
    call: Call, service: tuple[httpx.AsyncClient, KnownKeys]
) -> None:
    http, keys = service
    told = {"accept": "application/json", "if-none-match": '"1"', "consistency-token": "0.0"}
    http.headers.update({name: f"{value} \t" for name, value in told.items()})
    partner_id, possible = next(owner for owner in OWNERS if owner[1] & set(call.scopes))

    answer = await call.send(http, keys.issue(partner_id, scopes=possible & set(call.scopes)), blanks=" \t ")

    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable"), "it lacks only a database"
    assert answer.headers["x-request-id"] == "r"


@pytest.mark.parametrize("service_name", ["command", "query"])
def test_every_list_comes_in_pages(service_name: ServiceName) -> None:
    document = DOCUMENTS[service_name]
    lists = {}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            media = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
            if "data" in resolved(document, media.get("schema", {})).get("properties", {}):
                lists[path] = {each["name"] for each in operation["parameters"] if each["in"] == "query"}

    assert len(lists) >= 3
    assert [path for path, parameters in lists.items() if not {"limit", "cursor"} <= parameters] == []
