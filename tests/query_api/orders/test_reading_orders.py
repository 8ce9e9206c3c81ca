"""Reading orders: documents as stored, versions as ETags, filters that narrow lists, timelines of what happened."""

import orjson

from infra.partitioning import partition_of
from query_api.orders import responses
from tests.support.services.query_service import ORDERS, PARTITIONS, START, QueryService, order_row


async def test_an_order_is_served_as_the_stored_bytes(service: QueryService) -> None:
    row = order_row(note="ünïcode", version=7, position=42)
    await service.rows.add_orders(row)

    answer = await service.get(f"{ORDERS}/{row.order_id}", await service.key())

    assert (answer.status_code, answer.content) == (200, row.document)
    assert (
        answer.headers.items()
        >= {
            "content-type": "application/json",
            "etag": '"7"',
            "consistency-token": f"{partition_of(row.order_id, PARTITIONS)}.42",
            "cache-control": "no-store",
        }.items()
    )


async def test_the_installation_is_told_whose_order_it_is_and_a_partner_gets_the_stored_bytes(
    service: QueryService,
) -> None:
    row = order_row(partner_id="globex")
    await service.rows.add_orders(row)
    dashboard, partner = await service.key(None, scopes=["dashboard:read"]), await service.key("globex")

    shown = [(await service.get(f"{ORDERS}/{row.order_id}", key)) for key in (dashboard, partner)]
    listed = [(await service.get(ORDERS, key)).json()["data"] for key in (dashboard, partner)]

    plain = orjson.loads(row.document)
    assert [answer.json() for answer in shown] == [plain | {"partner_id": "globex"}, plain]
    assert listed == [[plain | {"partner_id": "globex"}], [plain]]
    assert shown[1].content == row.document


async def test_an_order_is_sent_only_when_the_caller_has_another_version(service: QueryService) -> None:
    row, key = order_row(version=7), await service.key()
    await service.rows.add_orders(row)

    for given in ('"7"', 'W/"7"', '"1", "7"', '"1" ,,W/"7",', "*"):
        answer = await service.get(f"{ORDERS}/{row.order_id}", key, if_none_match=given)
        assert [answer.status_code, answer.content, answer.headers["etag"]] == [304, b"", '"7"'], given
        assert "x-read-position" in answer.headers
    for given in ('"6"', '"77"', 'W/"6", "77"', '""', '"*"'):
        answer = await service.get(f"{ORDERS}/{row.order_id}", key, if_none_match=given)
        assert answer.status_code == 200, given


async def test_what_is_no_list_of_etags_is_refused_with_the_right_form(service: QueryService) -> None:
    row, key = order_row(version=7), await service.key()
    await service.rows.add_orders(row)

    for given in ("7", "nonsense", '"7', 'w/"7"', '*, "7"', '"7" "8"', ","):
        answer = await service.get(f"{ORDERS}/{row.order_id}", key, if_none_match=given)
        assert (answer.status_code, answer.json()["code"]) == (400, "if_none_match_malformed"), given
        assert 'with their quotes: "1"' in answer.json()["detail"]


async def test_an_id_is_the_same_in_upper_case_also_for_a_cursor(service: QueryService) -> None:
    row, key = order_row(), await service.key()
    await service.rows.add_orders(row)
    await service.rows.add_events(row, 2)
    lower, upper = f"{ORDERS}/{row.order_id}", f"{ORDERS}/{str(row.order_id).upper()}"

    first = await service.get(f"{lower}/timeline?limit=1", key)
    second = await service.get(f"{upper}/timeline?limit=1&cursor={first.json()['next_cursor']}", key)

    assert upper != lower
    for rest in ("", "/timeline", "/notes"):
        assert (await service.get(upper + rest, key)).content == (await service.get(lower + rest, key)).content
    assert [entry["sequence"] for entry in second.json()["data"]] == [2]


async def test_an_id_that_is_not_of_the_form_of_ours_is_not_found(service: QueryService) -> None:
    row, key = order_row(), await service.key()
    await service.rows.add_orders(row)
    await service.rows.add_events(row)
    malformed = ("1", "9223372036854775808", "%00", "0" * 35 + "G", "{x}", "%2e%2e", "%F0%9F%92%A3", "A" * 300)

    addresses = [f"{each}{rest}" for each in malformed for rest in ("", "/timeline", "/notes")]
    for order_id in addresses:
        answer = await service.get(f"{ORDERS}/{order_id}", key)
        assert [answer.status_code, answer.json()["code"]] == [404, "not_found"], order_id


async def test_a_list_is_newest_first_and_ends_without_a_cursor(service: QueryService) -> None:
    rows = [order_row(number) for number in range(3)]
    await service.rows.add_orders(*rows)

    answer = await service.get(ORDERS, await service.key())

    expected = [{"id": str(row.order_id), "status": "pending", "note": ""} for row in reversed(rows)]
    assert answer.json() == {"data": expected, "has_more": False, "next_cursor": None}
    assert "link" not in answer.headers


FILTERS = {
    "": {0, 1, 2, 3},
    "status=captured": {1},
    "status=settled": set(),
    "external_reference=ref%C3%A9%202": {2},
    "external_reference=refe%CC%81%202": {2},  # however its accents are composed
    "created_from=2026-11-23T01:02:05.123456Z": {2, 3},
    "created_from=2026-11-23+01:02:05.123456789Z": {2, 3},
    "created_to=2026-11-23T01:02:05.123456Z": {0, 1},
    "created_from=2026-11-23T02:02:04%2B01:00&created_to=2026-11-23t01:02:05.2z": {1, 2},
    "status=pending&created_to=2026-11-23T01:02:05Z": {0},
}


async def test_filters_narrow_a_list(service: QueryService) -> None:
    rows = [order_row(0), order_row(1, status="captured"), order_row(2, external_reference="refé 2"), order_row(3)]
    await service.rows.add_orders(*rows)
    key = await service.key()

    for query, expected in FILTERS.items():
        answer = await service.get(f"{ORDERS}?{query}", key)
        ids = {item["id"] for item in answer.json()["data"]}
        assert {number for number, row in enumerate(rows) if str(row.order_id) in ids} == expected, query


async def test_the_link_header_leads_to_the_next_page_with_the_same_filters(service: QueryService) -> None:
    wanted = [order_row(number, external_reference="a b") for number in range(3)]
    await service.rows.add_orders(*wanted, order_row(9))

    pages = await service.pages(f"{ORDERS}?limit=2&external_reference=a+b", await service.key())

    assert [[item["id"] for item in page] for page in pages] == [
        [str(wanted[2].order_id), str(wanted[1].order_id)],
        [str(wanted[0].order_id)],
    ]


async def test_a_page_of_large_orders_is_cut_by_bytes_and_nothing_is_lost(service: QueryService) -> None:
    large = [order_row(number, note="x" * 1_500_000) for number in range(4)]
    huge = order_row(9, note="y" * 5_000_000)
    await service.rows.add_orders(*large, huge)

    pages = await service.pages(ORDERS, await service.key())

    assert [len(page) for page in pages] == [1, 2, 2]
    ids = [item["id"] for page in pages for item in page]
    assert ids == [str(row.order_id) for row in [huge, *reversed(large)]]


async def test_a_timeline_says_who_when_why_and_from_which_status_to_which(service: QueryService) -> None:
    row = order_row(status="captured", note="asked by phone", position=40, created_at=START.replace(microsecond=0))
    await service.rows.add_events(row, 2)

    answer = await service.get(f"{ORDERS}/{row.order_id}/timeline", await service.key())

    assert answer.json()["data"][1] | {"event_id": ""} == {
        "sequence": 2,
        "type": "order.captured",
        "event_id": "",
        "occurred_at": "2026-11-23T01:02:03.000000Z",
        "recorded_at": "2026-11-23T01:02:03.000000Z",
        "actor": {"type": "api_key", "id": "ABCDEFGH", "key_id": "ABCDEFGH", "label": None},
        "from": "authorized",
        "to": "captured",
        "reason": "asked by phone",
        "changes": {"currency": "EUR", "note": "asked by phone"},
        "request_id": "r-1",
        "position": 41,
    }
    responses.TimelinePage.model_validate_json(answer.content)
    assert list(answer.json()["data"][1]) == [
        field.alias or name for name, field in responses.TimelineEntry.model_fields.items()
    ]


async def test_a_timeline_names_the_key_that_acted_also_after_it_was_revoked_and_none_of_others(
    service: QueryService,
) -> None:
    own, foreign = order_row(), order_row(partner_id="globex")
    for row in (own, foreign):
        await service.rows.add_events(row)
    await service.rows.execute(
        "INSERT INTO harbor.api_keys (key_id, partner_id, livemode, scopes, hashed, label, created_at, revoked_at)"
        " VALUES ('ABCDEFGH', 'acme', false, '{orders:write}', decode(repeat('00', 32), 'hex'), 'till 7', now(), now())"
    )

    shown = [
        (await service.get(f"{ORDERS}/{row.order_id}/timeline", key)).json()["data"][0]["actor"]["label"]
        for row, key in (
            (own, await service.key()),
            (own, await service.key(None, scopes=["dashboard:read"])),
            (foreign, await service.key("globex")),
        )
    ]

    assert shown == ["till 7", "till 7", None]


async def test_a_long_timeline_comes_in_pages(service: QueryService) -> None:
    row = order_row()
    await service.rows.add_events(row, 7)

    pages = await service.pages(f"{ORDERS}/{row.order_id}/timeline?limit=3", await service.key())

    assert [[entry["sequence"] for entry in page] for page in pages] == [[1, 2, 3], [4, 5, 6], [7]]
