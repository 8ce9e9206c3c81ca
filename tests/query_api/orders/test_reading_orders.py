"""Reading orders: documents are served as stored, versions are ETags, and one answer hides all that is not yours."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from infra import clock
from infra.partitioning import partition_of
from query_api.orders import responses
from tests.support.services.query_service import ORDERS, PARTITIONS, START, QueryService, order_row, query_service
from tests.support.services.servers import Database


@pytest.fixture
async def service(database: Database) -> AsyncIterator[QueryService]:
    async with query_service(database) as running:
        yield running


async def test_an_order_is_served_as_the_stored_bytes(service: QueryService) -> None:
    row = order_row(note="ünïcode", version=7, position=42)
    await service.rows.add_orders(row)

    answer = await service.get(f"{ORDERS}/{row.order_id}", await service.key())

    assert answer.status_code == 200
    assert answer.content == row.document
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["etag"] == '"7"'
    assert answer.headers["consistency-token"] == f"{partition_of(row.order_id, PARTITIONS)}.42"
    assert answer.headers["cache-control"] == "no-store"


async def test_an_order_is_sent_only_when_the_asker_has_another_version(service: QueryService) -> None:
    row, key = order_row(version=7), await service.key()
    await service.rows.add_orders(row)

    for given in ('"7"', 'W/"7"', '"1", "7"', "*"):
        answer = await service.get(f"{ORDERS}/{row.order_id}", key, if_none_match=given)
        assert [answer.status_code, answer.content, answer.headers["etag"]] == [304, b"", '"7"'], given
        assert "x-read-position" in answer.headers
    for given in ('"6"', "7", "nonsense", '"77"'):
        answer = await service.get(f"{ORDERS}/{row.order_id}", key, if_none_match=given)
        assert answer.status_code == 200, given


async def test_missing_foreign_and_other_mode_get_the_same_bytes(service: QueryService) -> None:
    foreign, live = order_row(partner_id="globex"), order_row(livemode=True)
    await service.rows.add_orders(foreign, live)
    await service.rows.add_events(foreign)
    await service.rows.add_events(live)
    key = await service.key()

    for suffix in ("", "/timeline", "/notes"):
        answers = [
            await service.get(f"{ORDERS}/{order_id}{suffix}", key, x_request_id="same")
            for order_id in (foreign.order_id, live.order_id, clock.new_id())
        ]
        bodies = {answer.content.replace(answer.request.url.path.encode(), b"") for answer in answers}
        assert {answer.status_code for answer in answers} == {404}
        assert len(bodies) == 1


async def test_a_malformed_id_is_just_not_found(service: QueryService) -> None:
    key = await service.key()
    for order_id in ("1", "9223372036854775808", "%00", "0" * 35 + "G", "{x}", "%2e%2e", "%F0%9F%92%A3", "A" * 300):
        for suffix in ("", "/timeline", "/notes"):
            answer = await service.get(f"{ORDERS}/{order_id}{suffix}", key)
            assert [answer.status_code, answer.json()["code"]] == [404, "not_found"], order_id


async def test_an_id_in_capitals_is_not_the_id(service: QueryService) -> None:
    row = order_row()
    await service.rows.add_orders(row)

    answer = await service.get(f"{ORDERS}/{str(row.order_id).upper()}", await service.key())

    assert answer.status_code == 404


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
    "external_reference=ref%202": {2},
    "created_from=2026-11-23T01:02:05.123456Z": {2, 3},
    "created_to=2026-11-23T01:02:05.123456Z": {0, 1},
    "created_from=2026-11-23T02:02:04%2B01:00&created_to=2026-11-23t01:02:05.2z": {1, 2},
    "status=pending&created_to=2026-11-23T01:02:05Z": {0},
}


async def test_filters_narrow_a_list(service: QueryService) -> None:
    rows = [order_row(0), order_row(1, status="captured"), order_row(2, external_reference="ref 2"), order_row(3)]
    await service.rows.add_orders(*rows)
    key = await service.key()

    for query, expected in FILTERS.items():
        answer = await service.get(f"{ORDERS}?{query}", key)
        ids = {item["id"] for item in answer.json()["data"]}
        assert {number for number, row in enumerate(rows) if str(row.order_id) in ids} == expected, query


async def test_a_reference_is_found_however_its_accents_are_composed(service: QueryService) -> None:
    await service.rows.add_orders(order_row(1, external_reference="r\u00e9f"))
    key = await service.key()

    answers = [await service.get(f"{ORDERS}?external_reference={text}", key) for text in ("r%C3%A9f", "re%CC%81f")]

    assert [len(answer.json()["data"]) for answer in answers] == [1, 1]


async def test_the_link_header_leads_to_the_next_page_with_the_same_filters(service: QueryService) -> None:
    await service.rows.add_orders(*(order_row(number, external_reference="a b") for number in range(3)))
    key = await service.key()

    first = await service.get(f"{ORDERS}?limit=2&external_reference=a+b", key)
    second = await service.http.get(first.links["next"]["url"], headers=key)

    assert [len(first.json()["data"]), len(second.json()["data"])] == [2, 1]
    assert first.json()["has_more"] is True
    assert second.json()["has_more"] is False
    assert "link" not in second.headers


async def test_a_page_of_large_orders_is_cut_by_bytes_and_nothing_is_lost(service: QueryService) -> None:
    large = [order_row(number, note="x" * 1_500_000) for number in range(4)]
    huge = order_row(9, note="y" * 5_000_000)
    await service.rows.add_orders(*large, huge)
    key, url, pages = await service.key(), ORDERS, []
    while url:
        answer = await service.http.get(url, headers=key)
        pages.append([item["id"] for item in answer.json()["data"]])
        url = answer.links.get("next", {}).get("url", "")

    assert [len(page) for page in pages] == [1, 2, 2]
    assert [order_id for page in pages for order_id in page] == [str(row.order_id) for row in [huge, *reversed(large)]]


async def test_a_timeline_tells_who_when_why_and_from_where_to_where(service: QueryService) -> None:
    row = order_row(status="captured", note="asked by phone", position=40)
    await service.rows.add_events(row, 2)

    answer = await service.get(f"{ORDERS}/{row.order_id}/timeline", await service.key())

    responses.TimelinePage.model_validate_json(answer.content)
    second = answer.json()["data"][1]
    assert second | {"event_id": ""} == {
        "sequence": 2,
        "type": "order.captured",
        "event_id": "",
        "occurred_at": "2026-11-23T01:02:03.123456Z",
        "recorded_at": "2026-11-23T01:02:03.123456Z",
        "actor": {"type": "api_key", "id": "ABCDEFGH", "key_id": "ABCDEFGH"},
        "from": "authorized",
        "to": "captured",
        "reason": "asked by phone",
        "changes": {"currency": "EUR", "note": "asked by phone"},
        "request_id": "r-1",
        "position": 41,
    }


async def test_a_long_timeline_comes_in_pages(service: QueryService) -> None:
    row = order_row()
    await service.rows.add_events(row, 7)
    key, url, seen = await service.key(), f"{ORDERS}/{row.order_id}/timeline?limit=3", []
    while url:
        answer = await service.http.get(url, headers=key)
        seen.append([entry["sequence"] for entry in answer.json()["data"]])
        url = answer.links.get("next", {}).get("url", "")

    assert seen == [[1, 2, 3], [4, 5, 6], [7]]


async def test_the_same_instant_never_hides_an_order(service: QueryService) -> None:
    rows = [order_row(created_at=START + timedelta(microseconds=number // 3)) for number in range(9)]
    await service.rows.add_orders(*rows)
    key, url, seen = await service.key(), f"{ORDERS}?limit=2", []
    while url:
        answer = await service.http.get(url, headers=key)
        seen += [item["id"] for item in answer.json()["data"]]
        url = answer.links.get("next", {}).get("url", "")

    assert sorted(seen) == sorted(str(row.order_id) for row in rows)
