"""API keys over HTTP on PostgreSQL: made, rotated and revoked by a key that may, which gives no more than it has."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from functools import partial

import pytest

import command_api.app
from infra import clock
from infra.security.api_keys import INSTALLATION_SCOPES, MAX_LIVE_KEYS, MAX_OVERLAPPING_KEYS, PARTNER_SCOPES
from infra.security.key_cache import TTL_S, KeyCache
from tests.command_api.api_keys.key_desk import KEYS, KeyDesk, key_desk
from tests.support.orders.builders import order_body
from tests.support.requests.documented import assert_documented
from tests.support.services.command_service import Json, id_of
from tests.support.services.servers import Database

SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
EXPIRY = clock.now().replace(microsecond=0) + timedelta(days=60)
EXPIRY_IN_PARIS = EXPIRY.astimezone(timezone(timedelta(hours=1))).isoformat()
EXPIRY_IN_AN_ANSWER = EXPIRY.strftime("%Y-%m-%dT%H:%M:%S.000000Z")


@pytest.fixture
async def remembering(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KeyDesk]:
    """Run a service that remembers keys for an hour, so that none is forgotten while the machine stalls."""
    monkeypatch.setattr(command_api.app, "KeyCache", partial(KeyCache, ttl_s=3600.0))
    async with key_desk(database) as running:
        yield running


async def test_a_key_is_made_with_what_was_asked_for_and_its_text_shown_once(desk: KeyDesk) -> None:
    key = await desk.key("acme")

    made = await desk.create(key, scopes=["orders:write", "orders:read"], label="till 7", expires_at=EXPIRY_IN_PARIS)

    document = made.json()
    text = document.pop("key")
    assert made.status_code == 201
    assert made.headers["location"] == f"{KEYS}/{document['id']}"
    assert text.startswith(f"hbr_test_{document['id']}_")
    assert document == {
        "id": document["id"],
        "object": "api_key",
        "partner_id": "acme",
        "livemode": False,
        "label": "till 7",
        "scopes": ["orders:read", "orders:write"],
        "status": "live",
        "created_at": document["created_at"],
        "expires_at": EXPIRY_IN_AN_ANSWER,
        "revoked_at": None,
        "last_used_at": None,
    }
    assert (await desk.service.post(body=order_body(), Authorization=f"Bearer {text}")).status_code == 201
    for path in (KEYS, f"{KEYS}/{document['id']}", f"{KEYS}/{document['id']}/events"):
        shown = await desk.get(key, path)
        assert shown.status_code == 200
        assert text not in shown.text
        assert "hash" not in shown.text


@pytest.mark.parametrize("label", ["\u5e97\u3000\u4e00", "caisse\u00a07", "\U0001f469\u200d\U0001f467", SCOTLAND])
async def test_a_label_takes_what_people_write_on_one_line(desk: KeyDesk, label: str) -> None:
    made = await desk.create(await desk.key("acme"), scopes=["orders:read"], label=label)

    assert (made.status_code, made.json()["label"]) == (201, label)


async def test_a_repeated_request_makes_no_second_key_and_names_the_first(desk: KeyDesk) -> None:
    key = await desk.key("acme")
    first = await desk.create(key, idempotency_key="k-1", scopes=["orders:read"])

    again = await desk.create(key, idempotency_key="k-1", scopes=["orders:read"])
    other = await desk.create(key, idempotency_key="k-1", scopes=["orders:write"])

    assert again.status_code == 409
    assert_documented(again, "api_key_already_created")
    assert again.json()["key_id"] == first.json()["id"]
    assert first.json()["key"] not in again.text
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_mismatch")
    assert (other.json()["key_id"], other.json()["first_used_at"] > first.json()["created_at"]) == (
        first.json()["id"],
        True,
    )
    assert len((await desk.get(key, KEYS)).json()["data"]) == 2


READS: Json = {"scopes": ["orders:read"]}
OTHER_USES: list[tuple[str, Json, str, Json, list[str]]] = [
    ("", READS, "", {"scopes": ["orders:write"]}, ["body"]),
    ("", READS, "one/rotate", {"overlap_s": 60}, ["path", "body"]),
    ("one/rotate", {"overlap_s": 60}, "one/rotate", {"overlap_s": 61}, ["body"]),
    ("one/rotate", {"overlap_s": 60}, "two/rotate", {"overlap_s": 60}, ["path"]),
    ("one/rotate", {"overlap_s": 60}, "two/rotate", {}, ["path", "body"]),
    ("one/rotate", {}, "", READS, ["path", "body"]),
]


@pytest.mark.parametrize(("first", "body", "then", "other_body", "differs"), OTHER_USES)
async def test_another_use_of_an_idempotency_key_says_in_what_it_differs(
    desk: KeyDesk, first: str, body: Json, then: str, other_body: Json, differs: list[str]
) -> None:
    key = await desk.key("acme")
    ids = {name: (await desk.create(key, **READS)).json()["id"] for name in ("one", "two")}

    def address(end: str) -> str:
        name, _, verb = end.partition("/")
        return f"{KEYS}/{ids[name]}/{verb}" if end else KEYS

    done = await desk.post(key, address(first), body, idempotency_key="k-1")
    refused = await desk.post(key, address(then), other_body, idempotency_key="k-1")

    assert (done.status_code, refused.json()["code"]) == (201, "idempotency_key_mismatch")
    assert (refused.json()["differs"], refused.json()["key_id"]) == (differs, done.json()["id"])


async def test_ten_copies_of_one_request_at_once_make_one_key(desk: KeyDesk) -> None:
    key = await desk.key(None)

    answers = await asyncio.gather(
        *(desk.create(key, idempotency_key="k-1", scopes=["events:read"]) for _ in range(10))
    )

    [made] = [answer for answer in answers if answer.status_code == 201]
    assert {answer.json()["key_id"] for answer in answers if answer.status_code == 409} == {made.json()["id"]}
    assert len((await desk.get(key, KEYS)).json()["data"]) == 2


async def with_all_places_taken(desk: KeyDesk) -> tuple[str, list[str]]:
    """Return a key that manages keys, and the ids of the others that its partner may have beside it."""
    key = await desk.key("acme")
    others = [(await desk.create(key, scopes=["orders:read"])).json()["id"] for _ in range(MAX_LIVE_KEYS - 1)]
    return key, others


async def test_a_partner_has_twenty_live_keys_in_a_mode_and_a_revoked_one_makes_room(desk: KeyDesk) -> None:
    key, others = await with_all_places_taken(desk)

    refused = await desk.create(key, scopes=["orders:read"])
    revoked = await desk.post(key, f"{KEYS}/{others[0]}/revoke")
    made = await desk.create(key, scopes=["orders:read"])

    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_live_keys")
    assert (revoked.status_code, revoked.json()["status"]) == (200, "revoked")
    assert made.status_code == 201


async def test_a_rotation_needs_no_free_place_until_the_same_key_is_rotated_again(desk: KeyDesk) -> None:
    key, others = await with_all_places_taken(desk)

    rotated = [await desk.post(key, f"{KEYS}/{each}/rotate", {}) for each in (*others[:2], id_of(key))]
    again = await desk.post(key, f"{KEYS}/{others[0]}/rotate", {})
    created = await desk.create(key, scopes=["orders:read"])
    await desk.post(key, f"{KEYS}/{rotated[0].json()['id']}/revoke")  # the response to that rotation was lost, say
    instead = await desk.post(key, f"{KEYS}/{others[0]}/rotate", {})

    assert [answer.status_code for answer in rotated] == [201, 201, 201]
    assert [answer.json()["code"] for answer in (again, created)] == ["too_many_live_keys"] * 2
    assert instead.status_code == 201


async def test_twenty_rotated_keys_work_at_once_and_then_a_rotation_has_no_overlap_until_one_of_them_ends(
    desk: KeyDesk,
) -> None:
    first = newest = await desk.key("acme")
    for overlap_s in range(1000, 1000 + MAX_OVERLAPPING_KEYS):
        newest = (await desk.post(newest, f"{KEYS}/{id_of(newest)}/rotate", {"overlap_s": overlap_s})).json()["key"]
    ends_at = (await desk.get(newest, f"{KEYS}/{id_of(first)}")).json()["expires_at"]
    other = (await desk.create(newest, scopes=["orders:read"])).json()["id"]

    refused = await desk.post(newest, f"{KEYS}/{id_of(newest)}/rotate", {"overlap_s": 60})
    again = await desk.post(newest, f"{KEYS}/{id_of(first)}/rotate", {"overlap_s": 60})
    at_once = await desk.post(newest, f"{KEYS}/{other}/rotate", {"overlap_s": 0})
    await desk.post(newest, f"{KEYS}/{id_of(first)}/revoke")
    rotated = await desk.post(newest, f"{KEYS}/{id_of(newest)}/rotate", {"overlap_s": 60})
    full_again = await desk.post(newest, f"{KEYS}/{at_once.json()['id']}/rotate", {})

    assert_documented(refused, "too_many_overlapping_keys")
    assert (refused.json()["key_id"], refused.json()["ends_at"]) == (id_of(first), ends_at), "the first that ends"
    assert [answer.status_code for answer in (again, at_once, rotated, full_again)] == [201, 201, 201, 409]


async def test_a_rotated_key_has_a_successor_that_can_do_the_same_and_works_until_the_overlap_ends(
    desk: KeyDesk,
) -> None:
    key = await desk.key("acme", {"keys:manage", "orders:write"})
    key_id = id_of(key)

    rotated = await desk.post(key, f"{KEYS}/{key_id}/rotate", {"overlap_s": 60})
    keys = (key, rotated.json()["key"])
    both = [await desk.service.post(body=order_body(), Authorization=f"Bearer {each}") for each in keys]

    document = rotated.json()
    assert rotated.status_code == 201
    assert document["scopes"] == ["keys:manage", "orders:write"]
    assert document["predecessor"]["id"] == key_id
    assert document["predecessor"]["expires_at"] is not None
    assert [answer.status_code for answer in both] == [201, 201]


async def test_a_successor_expires_when_the_old_key_would_have(desk: KeyDesk) -> None:
    operator = await desk.key(None, INSTALLATION_SCOPES)
    made = await desk.create(operator, scopes=["events:read"], expires_at=EXPIRY_IN_PARIS)

    rotated = await desk.post(operator, f"{KEYS}/{made.json()['id']}/rotate", {"overlap_s": 0})

    assert rotated.json()["expires_at"] == EXPIRY_IN_AN_ANSWER


@pytest.mark.parametrize(("expires_at", "shown"), [(None, None), (EXPIRY, EXPIRY_IN_AN_ANSWER)], ids=["never", "later"])
async def test_what_follows_a_lost_rotation_lives_as_long_as_the_key_would_have_without_any(
    desk: KeyDesk, expires_at: datetime | None, shown: str | None
) -> None:
    key = await desk.key("acme", expires_at=expires_at)
    address = f"{KEYS}/{id_of(key)}/rotate"

    lost, repeated = [await desk.post(key, address, {"overlap_s": 60}, idempotency_key="r-1") for _ in range(2)]
    await desk.post(key, f"{KEYS}/{repeated.json()['key_id']}/revoke")
    rotated = await desk.post(key, address, {"overlap_s": 3600}, idempotency_key="r-2")
    created = await desk.create(key, scopes=["keys:manage"])
    next_one = await desk.post(rotated.json()["key"], f"{KEYS}/{rotated.json()['id']}/rotate")

    made = (lost, rotated, created, next_one)
    assert [(answer.status_code, answer.json()["expires_at"]) for answer in made] == [(201, shown)] * 4
    ends = [answer.json()["predecessor"]["expires_at"] for answer in (lost, rotated)]
    assert ends[0] == ends[1], "no overlap is ever made longer"
    assert datetime.fromisoformat(ends[0]) < clock.now() + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("scopes", "wanted"),
    [({"keys:manage"}, ["orders:read"]), ({"keys:manage", "orders:read"}, ["orders:read", "orders:write"])],
)
async def test_a_key_grants_no_scope_that_it_lacks(desk: KeyDesk, scopes: set[str], wanted: list[str]) -> None:
    key = await desk.key("acme", scopes)

    refused = await desk.create(key, scopes=wanted)

    assert (refused.status_code, refused.json()["code"]) == (403, "grant_exceeds_key")
    assert refused.json()["grantable_scopes"] == sorted(scopes)
    assert_documented(refused, "grant_exceeds_key")


async def test_a_key_rotates_no_key_that_can_do_more_but_may_revoke_it(desk: KeyDesk) -> None:
    weak, strong = await desk.key("acme", {"keys:manage"}), await desk.key("acme", PARTNER_SCOPES)
    address = f"{KEYS}/{id_of(strong)}"

    rotated = await desk.post(weak, f"{address}/rotate", {})
    revoked = await desk.post(weak, f"{address}/revoke")

    assert (rotated.status_code, rotated.json()["code"]) == (403, "grant_exceeds_key")
    assert revoked.status_code == 200


async def test_a_key_of_the_installation_makes_and_rotates_keys_of_partners_with_any_scopes_of_theirs(
    desk: KeyDesk,
) -> None:
    operator = await desk.key(None, {"keys:manage"})

    made = await desk.create(operator, partner_id="acme", scopes=sorted(PARTNER_SCOPES))
    rotated = await desk.post(operator, f"{KEYS}/{made.json()['id']}/rotate", {"overlap_s": 0})
    order = await desk.service.post(body=order_body(), Authorization=f"Bearer {rotated.json()['key']}")
    history = await desk.get(rotated.json()["key"], f"{KEYS}/{made.json()['id']}/events")

    assert (made.status_code, made.json()["partner_id"]) == (201, "acme")
    assert (rotated.status_code, rotated.json()["scopes"]) == (201, sorted(PARTNER_SCOPES))
    assert order.status_code == 201
    assert {event["actor"]["type"] for event in history.json()["data"]} == {"operator"}


async def test_a_key_of_the_installation_grants_another_of_the_installation_no_scope_that_it_lacks(
    desk: KeyDesk,
) -> None:
    operator = await desk.key(None, {"keys:manage"})

    auditing = await desk.create(operator, scopes=["audit:read"])
    of_partner = await desk.create(operator, partner_id="acme", scopes=["audit:read"])
    outliving = await desk.create(
        await desk.key(None, expires_at=clock.now() + timedelta(hours=1)),
        partner_id="acme", scopes=["orders:read"], expires_at=EXPIRY_IN_PARIS,
    )  # fmt: skip

    assert [answer.json()["code"] for answer in (auditing, of_partner, outliving)] == [
        "grant_exceeds_key",
        "validation_failed",
        "grant_exceeds_key",
    ]
    assert auditing.json()["grantable_scopes"] == ["keys:manage"]
    assert outliving.json()["grantable_scopes"] == sorted(PARTNER_SCOPES)


async def test_what_a_key_makes_does_not_outlive_it(desk: KeyDesk) -> None:
    soon = clock.now() + timedelta(hours=1)
    key = await desk.key("acme", expires_at=soon)

    longer = await desk.create(key, scopes=["orders:read"], expires_at=EXPIRY_IN_PARIS)
    as_long = await desk.create(key, scopes=["orders:read"])

    assert (longer.status_code, longer.json()["code"]) == (403, "grant_exceeds_key")
    assert as_long.json()["expires_at"] == soon.isoformat(timespec="microseconds").replace("+00:00", "Z")


async def test_a_key_may_revoke_itself_and_then_makes_no_more_keys(desk: KeyDesk) -> None:
    key = await desk.key("acme")

    revoked = await desk.post(key, f"{KEYS}/{id_of(key)}/revoke")
    late = await desk.create(key, scopes=["orders:read"])

    assert (revoked.status_code, revoked.json()["status"]) == (200, "revoked")
    assert (late.status_code, late.json()["code"]) == (401, "api_key_invalid")
    assert late.headers["www-authenticate"].startswith("Bearer"), "also where this process has not yet heard of it"


async def test_a_revoked_key_is_refused_once_its_cached_record_is_too_old_although_no_notification_came(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [0.0]
    monkeypatch.setattr(command_api.app, "KeyCache", partial(KeyCache, monotonic_s=lambda: now_s[0]))
    async with key_desk(database) as desk:
        key = await desk.key("acme")
        await desk.revoke_unheard(key)
        now_s[0] = TTL_S - 0.001
        remembered = await desk.get(key, KEYS)
        now_s[0] = TTL_S
        refused = await desk.get(key, KEYS)

    assert remembered.status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (401, "api_key_invalid")


@pytest.mark.parametrize(
    ("path", "body"), [("/{other}/rotate", {}), ("/{other}/revoke", None), ("", {"scopes": ["orders:read"]})]
)
async def test_a_revoked_key_makes_and_changes_no_key_while_it_is_still_remembered(
    remembering: KeyDesk, path: str, body: object
) -> None:
    acting, other = await remembering.key("acme"), await remembering.key("acme")
    await remembering.revoke_unheard(acting)

    refused = await remembering.post(acting, KEYS + path.format(other=id_of(other)), body)
    kept = await remembering.get(other, f"{KEYS}/{id_of(other)}")
    history = await remembering.get(other, f"{KEYS}/{id_of(other)}/events")
    keys = await remembering.get(other, KEYS)

    assert (refused.status_code, refused.json()["code"]) == (401, "api_key_invalid")
    assert (kept.json()["status"], kept.json()["expires_at"]) == ("live", None)
    assert [event["type"] for event in history.json()["data"]] == ["api_key.created"]
    assert len(keys.json()["data"]) == 2


async def test_a_key_that_revokes_itself_twice_gets_the_same_response_while_it_is_cached(
    remembering: KeyDesk,
) -> None:
    key = await remembering.key("acme")
    await remembering.revoke_unheard(key)

    again = await remembering.post(key, f"{KEYS}/{id_of(key)}/revoke")

    assert (again.status_code, again.json()["status"]) == (200, "revoked")


@pytest.mark.parametrize(
    ("partner_id", "named", "code"), [("acme", "acme", "partner_from_key"), (None, "ACME", "partner_malformed")]
)
async def test_only_a_key_of_the_installation_names_a_partner_and_in_the_one_way(
    desk: KeyDesk, partner_id: str | None, named: str, code: str
) -> None:
    key = await desk.key(partner_id)

    made = await desk.create(key, partner_id=named, scopes=["events:read"])
    listed = await desk.get(key, f"{KEYS}?partner_id={named}")

    for answer, pointer in ((made, "/partner_id"), (listed, "/query/partner_id")):
        [error] = answer.json()["errors"]
        assert (answer.status_code, error["pointer"], error["code"]) == (422, pointer, code)


async def test_a_malformed_partner_is_named_beside_the_other_parameters(desk: KeyDesk) -> None:
    answer = await desk.get(await desk.key(None), f"{KEYS}?partner_id=x%20y&limit=0&zz=1")

    codes = [error["code"] for error in answer.json()["errors"]]
    assert codes == ["partner_malformed", "limit_invalid", "parameter_unknown"]


async def test_an_overlap_is_a_whole_number_of_seconds_within_seven_days_and_a_minute_for_the_key_itself(
    desk: KeyDesk,
) -> None:
    """A key that rotates itself needs time to ask again, should the response be lost."""
    key = await desk.key("acme")
    for overlap_s, code in {
        -1: "overlap_out_of_range",
        604_801: "overlap_out_of_range",
        "60": "wrong_type",
        1.5: "wrong_type",
        0: "overlap_too_short",
        59: "overlap_too_short",
    }.items():
        answer = await desk.post(key, f"{KEYS}/{id_of(key)}/rotate", {"overlap_s": overlap_s})
        [error] = answer.json()["errors"]
        assert (answer.status_code, error["pointer"], error["code"]) == (422, "/overlap_s", code), overlap_s
    assert len((await desk.get(key, KEYS)).json()["data"]) == 1, "nothing was made"

    for partner_id, longest in (("globex", 60), ("initech", 604_800)):
        own = await desk.key(partner_id)
        first, again = [
            await desk.post(own, f"{KEYS}/{id_of(own)}/rotate", {"overlap_s": longest}, idempotency_key="r-1")
            for _ in range(2)
        ]
        assert first.status_code == 201
        assert (again.status_code, again.json()["key_id"]) == (409, first.json()["id"])


async def test_a_key_that_is_not_live_has_no_successor(desk: KeyDesk) -> None:
    operator, leaked = await desk.key(None), await desk.key(None, {"events:read"})
    await desk.post(operator, f"{KEYS}/{id_of(leaked)}/revoke")

    answer = await desk.post(operator, f"{KEYS}/{id_of(leaked)}/rotate", {})

    assert (answer.status_code, answer.json()["code"]) == (409, "api_key_not_live")


async def test_another_key_is_rotated_at_once_if_so_asked(desk: KeyDesk) -> None:
    operator, leaked = await desk.key(None), await desk.key(None, {"events:read"})

    rotated = await desk.post(operator, f"{KEYS}/{id_of(leaked)}/rotate", {"overlap_s": 0})
    old = await desk.get(leaked, KEYS)

    assert (rotated.status_code, rotated.json()["predecessor"]["status"]) == (201, "expired")
    assert (old.status_code, old.json()["code"]) == (401, "api_key_invalid")
