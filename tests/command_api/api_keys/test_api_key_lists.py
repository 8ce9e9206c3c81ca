"""Reading API keys over HTTP on PostgreSQL: lists in pages, cursors good for nothing else, the history of each key."""

from infra.security.api_keys import INSTALLATION_SCOPES
from tests.command_api.api_keys.key_desk import KEYS, KeyDesk
from tests.support.services.command_service import id_of


async def walk(desk: KeyDesk, key: str, path: str) -> tuple[list[str], list[str]]:
    """Return the ids of a list, page by page of two, and the cursors on the way."""
    ids: list[str] = []
    cursors: list[str] = []
    more = True
    while more:
        after = f"&cursor={cursors[-1]}" if cursors else ""
        page = (await desk.get(key, f"{path}{'&' if '?' in path else '?'}limit=2{after}")).json()
        ids += [each["id"] for each in page["data"]]
        more = page["has_more"]
        assert more is (page["next_cursor"] is not None)
        cursors += [page["next_cursor"]] if more else []
    return ids, cursors


async def test_a_list_is_walked_newest_first(desk: KeyDesk) -> None:
    operator = await desk.key(None, INSTALLATION_SCOPES)
    made = [await desk.key(partner) for partner in ("acme", "globex", "initech", "acme")]

    every, _cursors = await walk(desk, operator, KEYS)
    of_acme, _cursors = await walk(desk, operator, f"{KEYS}?partner_id=acme")
    own, _cursors = await walk(desk, made[0], KEYS)

    assert every == [id_of(key) for key in (operator, *made)][::-1]
    assert of_acme == own == [id_of(made[3]), id_of(made[0])]


async def test_a_cursor_is_signed_and_good_only_for_the_list_caller_and_filter_that_it_was_given_for(
    desk: KeyDesk,
) -> None:
    operator, live = await desk.key(None), await desk.key(None, livemode=True)
    partners = [await desk.key(partner) for partner in ("acme", "globex", "acme")]
    for _ in range(3):
        leaked = (await desk.create(operator, scopes=["events:read"])).json()["id"]
        rotated = await desk.post(operator, f"{KEYS}/{leaked}/rotate", {"overlap_s": 60})
        await desk.post(operator, f"{KEYS}/{leaked}/revoke")
    history, other_history = f"{KEYS}/{leaked}/events", f"{KEYS}/{rotated.json()['id']}/events"
    _ids, [of_all, *_] = await walk(desk, operator, KEYS)
    events, [of_history] = await walk(desk, operator, history)
    edited = of_all[:8] + ("A" if of_all[8] != "A" else "B") + of_all[9:]

    refused = [
        await desk.get(key, f"{path}{'&' if '?' in path else '?'}cursor={cursor}")
        for key, path, cursor in (
            (partners[0], KEYS, of_all),
            (live, KEYS, of_all),
            (operator, f"{KEYS}?partner_id=acme", of_all),
            (operator, history, of_all),
            (operator, KEYS, of_history),
            (operator, other_history, of_history),
            (operator, KEYS, edited),
            (operator, KEYS, id_of(partners[0])),
            (operator, KEYS, "%00"),
            (operator, history, events[0]),
            (operator, history, "-1"),
        )
    ]

    assert len(events) == 3
    assert [(each.status_code, each.json()["code"]) for each in refused] == [(422, "cursor_invalid")] * len(refused)


async def test_the_history_of_a_key_names_the_key_that_acted_and_hides_from_a_partner_which_operator_did(
    desk: KeyDesk,
) -> None:
    first, operator = await desk.key("acme"), await desk.key(None)
    acme = (await desk.create(first, scopes=["orders:read", "keys:manage"], label="key desk")).json()["key"]
    made = (await desk.create(acme, scopes=["orders:read"])).json()["id"]
    await desk.post(first, f"{KEYS}/{id_of(acme)}/revoke")
    await desk.post(operator, f"{KEYS}/{made}/revoke")

    to_partner, to_operator = [(await desk.get(key, f"{KEYS}/{made}/events")).json() for key in (first, operator)]

    by_acme = {"type": "api_key", "id": id_of(acme), "label": "key desk"}
    by_operator = {"type": "api_key", "id": id_of(operator), "label": None}
    assert [event["type"] for event in to_partner["data"]] == ["api_key.created", "api_key.revoked"]
    assert [event["actor"] for event in to_partner["data"]] == [
        by_acme,
        {"type": "operator", "id": None, "label": None},
    ]
    assert [event["actor"] for event in to_operator["data"]] == [by_acme, by_operator]
    assert id_of(operator) not in str(to_partner)
    assert (to_partner["has_more"], to_partner["next_cursor"]) == (False, None)
