"""Who may do what: one answer for every key that opens nothing, and nothing when nobody can check."""

import dataclasses
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from infra import clock
from infra.http.auth import RequiredScope, requires
from infra.security import api_keys
from tests.support.services.small_service import SmallService, client_of, small_service


@pytest.fixture
def service() -> SmallService:
    return small_service()


@pytest.fixture
async def client(service: SmallService) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(service.app) as client:
        yield client


def without_identity(answer: httpx.Response) -> tuple[object, ...]:
    body = answer.json()
    return answer.status_code, answer.headers["www-authenticate"], body | {"request_id": ""}


async def test_a_key_is_taken_from_either_header(service: SmallService, client: httpx.AsyncClient) -> None:
    key = service.keys.issue()

    as_bearer = await client.post("/api/v1/things", headers={"authorization": f"Bearer {key}"})
    as_api_key = await client.post("/api/v1/things", headers={"x-api-key": key})

    assert [as_bearer.status_code, as_api_key.status_code] == [201, 201]


async def test_both_headers_at_once_are_refused(service: SmallService, client: httpx.AsyncClient) -> None:
    key = service.keys.issue()

    answer = await client.post("/api/v1/things", headers={"authorization": f"Bearer {key}", "x-api-key": key})

    assert [answer.status_code, answer.json()["code"]] == [400, "credentials_ambiguous"]


async def test_a_key_in_the_address_opens_nothing(service: SmallService, client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/things", params={"api_key": service.keys.issue()})

    assert [answer.status_code, answer.json()["code"]] == [401, "api_key_missing"]


@pytest.mark.parametrize(
    "text",
    ["", "x", "hbr_test_short", "Bearer", "hbr_test_ABCDEFGH_" + "a" * 36, "hbr_test_" + "\u0661" * 8 + "_" + "a" * 36],
)
async def test_a_malformed_key_is_refused_before_any_look_up(
    service: SmallService, client: httpx.AsyncClient, text: str
) -> None:
    service.keys.is_down = True

    answer = await client.post("/api/v1/things", headers=[(b"x-api-key", text.encode())])

    assert [answer.status_code, answer.json()["code"]] == [401, "api_key_malformed"]
    assert "hbr_test_" in answer.json()["detail"], "it shows the form of a key"


@pytest.mark.parametrize("bare", [True, False])
async def test_a_key_without_its_scheme_is_told_how_to_be_sent(
    service: SmallService, client: httpx.AsyncClient, bare: bool
) -> None:
    key = service.keys.issue()

    answer = await client.post("/api/v1/things", headers={"authorization": key if bare else f"Key {key}"})

    assert (answer.status_code, answer.json()["code"]) == (401, "api_key_malformed")
    assert answer.json()["detail"] == "Send it as: Authorization: Bearer <key>"
    assert key not in answer.text


async def test_unknown_wrong_revoked_expired_and_other_mode_get_one_answer(
    service: SmallService, client: httpx.AsyncClient
) -> None:
    known = service.keys.issue()
    record = service.keys.records[api_keys.parse(known).key_id]
    wrong_secret = known[:18] + "z" * 30
    other_mode = known.replace("_test_", "_live_")[:-6]
    keys = (
        api_keys.generate(livemode=False).text,
        wrong_secret + api_keys.checksum(wrong_secret),
        other_mode + api_keys.checksum(other_mode),
    )
    answers = [await client.post("/api/v1/things", headers={"x-api-key": key}) for key in keys]
    for dead in (
        dataclasses.replace(record, revoked_at=clock.now()),
        dataclasses.replace(record, expires_at=clock.now() - timedelta(microseconds=1)),
    ):
        service.keys.records[record.key_id] = dead
        answers.append(await client.post("/api/v1/things", headers={"x-api-key": known}))

    assert {answer.status_code for answer in answers} == {401}
    assert all(without_identity(answer) == without_identity(answers[0]) for answer in answers)


async def test_every_401_says_how_to_authenticate(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/things")

    assert answer.headers["www-authenticate"] == 'Bearer realm="harbor-orders"'


async def test_a_key_without_the_scope_is_told_which_is_missing(
    service: SmallService, client: httpx.AsyncClient
) -> None:
    key = service.keys.issue(scopes=["orders:read"])

    answer = await client.post("/api/v1/things", headers={"x-api-key": key})

    assert [answer.status_code, answer.json()["code"]] == [403, "scope_missing"]
    assert answer.json()["required_scopes"] == ["orders:write"]


async def test_what_belongs_to_a_partner_is_not_for_a_key_of_the_installation(
    service: SmallService, client: httpx.AsyncClient
) -> None:
    key = service.keys.issue(partner_id=None, scopes=["orders:write"])

    answer = await client.get("/api/v1/twice", headers={"x-api-key": key})

    assert [answer.status_code, answer.json()["code"]] == [403, "partner_key_required"]


async def test_when_keys_cannot_be_checked_nobody_comes_in(service: SmallService, client: httpx.AsyncClient) -> None:
    key = service.keys.issue()
    service.keys.is_down = True

    answer = await client.post("/api/v1/things", headers={"x-api-key": key})

    assert [answer.status_code, answer.json()["code"]] == [503, "auth_unavailable"]
    assert answer.headers["retry-after"] == "1"


def test_a_route_can_only_declare_scopes_that_exist() -> None:
    with pytest.raises(ValueError, match="orders:everything"):
        requires("orders:everything")


def test_a_route_must_name_a_scope() -> None:
    with pytest.raises(ValueError, match="one or more"):
        requires()


def test_any_of_the_declared_scopes_is_enough() -> None:
    assert requires("orders:read", "audit:read").dependency == RequiredScope(("orders:read", "audit:read"))


async def test_a_key_that_opened_something_opens_nothing_more_once_its_record_says_so(
    service: SmallService, client: httpx.AsyncClient
) -> None:
    key = service.keys.issue()
    record = service.keys.records[api_keys.parse(key).key_id]
    before = await client.post("/api/v1/things", headers={"x-api-key": key})
    service.keys.records[record.key_id] = dataclasses.replace(record, revoked_at=clock.now())
    revoked = await client.post("/api/v1/things", headers={"x-api-key": key})
    del service.keys.records[record.key_id]
    gone = await client.post("/api/v1/things", headers={"x-api-key": key})

    assert [before.status_code, revoked.status_code, gone.status_code] == [201, 401, 401]


async def test_a_key_whose_scopes_changed_is_taken_with_its_new_ones(
    service: SmallService, client: httpx.AsyncClient
) -> None:
    key = service.keys.issue()
    record = service.keys.records[api_keys.parse(key).key_id]
    await client.post("/api/v1/things", headers={"x-api-key": key})
    service.keys.records[record.key_id] = dataclasses.replace(record, scopes=frozenset({"orders:read"}))

    answer = await client.post("/api/v1/things", headers={"x-api-key": key})

    assert answer.status_code == 403


async def test_a_key_opens_nothing_while_nobody_can_check_it_although_it_was_proven_before(
    service: SmallService, client: httpx.AsyncClient
) -> None:
    key = service.keys.issue()
    await client.post("/api/v1/things", headers={"x-api-key": key})
    service.keys.is_down = True

    answer = await client.post("/api/v1/things", headers={"x-api-key": key})

    assert answer.status_code == 503


async def test_a_proven_key_does_not_open_the_door_in_the_form_of_the_other_header(
    service: SmallService, client: httpx.AsyncClient
) -> None:
    key = service.keys.issue()
    await client.post("/api/v1/things", headers={"authorization": f"Bearer {key}"})

    answer = await client.post("/api/v1/things", headers={"x-api-key": f"Bearer {key}"})

    assert answer.json()["code"] == "api_key_malformed"


async def test_a_key_proven_in_its_plain_header_is_not_taken_for_another_scheme(
    service: SmallService, client: httpx.AsyncClient
) -> None:
    key = service.keys.issue()
    await client.post("/api/v1/things", headers={"x-api-key": key})

    answers = [await client.post("/api/v1/things", headers={"authorization": f"{word} {key}"}) for word in ("x", "k")]

    assert [answer.json()["code"] for answer in answers] == ["api_key_malformed"] * 2
