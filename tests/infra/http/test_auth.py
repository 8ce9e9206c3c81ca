"""Who may do what: one response to every key that opens nothing, and to nobody while keys cannot be checked."""

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import httpx
import pytest

from infra import clock
from infra.http.auth import requires
from infra.security import api_keys
from tests.support.services.small_service import SmallService, client_of, small_service

Post = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def service() -> SmallService:
    return small_service()


@pytest.fixture
async def client(service: SmallService) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(service.app) as client:
        yield client


@pytest.fixture
def post(client: httpx.AsyncClient) -> Post:
    """Return what posts a thing with headers, named with `_` for `-`."""

    async def send(**headers: str) -> httpx.Response:
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return await client.post("/api/v1/things", headers=named)

    return send


def outcome(response: httpx.Response) -> tuple[int, str | None]:
    return response.status_code, response.json().get("code")


async def test_a_key_is_taken_from_either_header_but_not_from_both_or_from_the_address(
    service: SmallService, client: httpx.AsyncClient, post: Post
) -> None:
    key = service.keys.issue()

    assert (await post(authorization=f"Bearer {key}")).status_code == 201
    assert (await post(x_api_key=key)).status_code == 201
    assert outcome(await post(authorization=f"Bearer {key}", x_api_key=key)) == (400, "credentials_ambiguous")
    assert outcome(await client.post("/api/v1/things", params={"api_key": key})) == (401, "api_key_missing")


@pytest.mark.parametrize(
    "text",
    ["", "x", "hbr_test_short", "Bearer", "hbr_test_ABCDEFGH_" + "a" * 36, "hbr_test_" + "\u0661" * 8 + "_" + "a" * 36],
)
async def test_a_malformed_key_is_refused_before_any_look_up(service: SmallService, post: Post, text: str) -> None:
    service.keys.is_down = True

    response = await post(x_api_key=text)

    assert outcome(response) == (401, "api_key_malformed")
    assert "hbr_test_" in response.json()["detail"], "it shows the form of a key"


@pytest.mark.parametrize("scheme", ["", "Key "])
async def test_a_key_without_its_scheme_is_refused_with_how_to_send_it(
    service: SmallService, post: Post, scheme: str
) -> None:
    key = service.keys.issue()

    response = await post(authorization=scheme + key)

    assert outcome(response) == (401, "api_key_malformed")
    assert response.json()["detail"] == "Send it as: Authorization: Bearer <key>"
    assert key not in response.text


async def test_unknown_wrong_revoked_expired_and_other_mode_get_one_response(service: SmallService, post: Post) -> None:
    known = service.keys.issue()
    record = service.keys.records[api_keys.parse(known).key_id]
    wrong_secret = known[:18] + "z" * 30
    other_mode = known.replace("_test_", "_live_")[:-6]
    keys = (
        api_keys.generate(livemode=False).text,
        wrong_secret + api_keys.checksum(wrong_secret),
        other_mode + api_keys.checksum(other_mode),
    )
    responses = [await post(x_api_key=key, x_request_id="r") for key in keys]
    for dead in (
        dataclasses.replace(record, revoked_at=clock.now()),
        dataclasses.replace(record, expires_at=clock.now() - timedelta(microseconds=1)),
    ):
        service.keys.records[record.key_id] = dead
        responses.append(await post(x_api_key=known, x_request_id="r"))

    assert {(response.status_code, response.headers["www-authenticate"]) for response in responses} == {
        (401, 'Bearer realm="harbor-orders"')
    }
    assert len({response.content for response in responses}) == 1


async def test_a_key_without_the_scope_gets_the_name_of_what_is_missing(service: SmallService, post: Post) -> None:
    response = await post(x_api_key=service.keys.issue(scopes=["orders:read"]))

    assert outcome(response) == (403, "scope_missing")
    assert response.json()["required_scopes"] == ["orders:write"]


async def test_what_belongs_to_a_partner_is_not_for_a_key_of_the_installation(
    service: SmallService, client: httpx.AsyncClient
) -> None:
    key = service.keys.issue(partner_id=None, scopes=["orders:write"])

    assert outcome(await client.get("/api/v1/twice", headers={"x-api-key": key})) == (403, "partner_key_required")


@pytest.mark.parametrize("is_proven", [False, True])
async def test_when_keys_cannot_be_checked_nobody_comes_in(service: SmallService, post: Post, is_proven: bool) -> None:
    key = service.keys.issue()
    if is_proven:
        await post(x_api_key=key)
    service.keys.is_down = True

    response = await post(x_api_key=key)

    assert (*outcome(response), response.headers["retry-after"]) == (503, "auth_unavailable", "1")


@pytest.mark.parametrize(("scopes", "message"), [(["orders:everything"], "orders:everything"), ([], "one or more")])
def test_a_route_declares_scopes_that_exist(scopes: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        requires(*scopes)


async def test_a_proven_key_is_judged_by_its_record_as_it_is_now(service: SmallService, post: Post) -> None:
    key = service.keys.issue()
    key_id = api_keys.parse(key).key_id
    record = service.keys.records[key_id]
    statuses = [(await post(x_api_key=key)).status_code]
    for changed in ({"scopes": frozenset({"orders:read"})}, {"revoked_at": clock.now()}):
        service.keys.records[key_id] = dataclasses.replace(record, **changed)
        statuses.append((await post(x_api_key=key)).status_code)
    del service.keys.records[key_id]
    statuses.append((await post(x_api_key=key)).status_code)

    assert statuses == [201, 403, 401, 401]


async def test_a_proven_key_opens_nothing_in_the_form_of_another_header_or_scheme(
    service: SmallService, post: Post
) -> None:
    key = service.keys.issue()
    await post(authorization=f"Bearer {key}")
    await post(x_api_key=key)

    for headers in ({"x_api_key": f"Bearer {key}"}, {"authorization": f"x {key}"}, {"authorization": f"k {key}"}):
        assert outcome(await post(**headers)) == (401, "api_key_malformed"), headers
