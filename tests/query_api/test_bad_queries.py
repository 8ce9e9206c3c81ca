"""Every bad query string gets its own status and code: never a 5xx, never more than 4 KB, never its own words back."""

from collections.abc import AsyncIterator

import httpx
import pytest

from infra.http.problems import MAX_PROBLEM_BYTES
from query_api.app import create_app
from query_api.parameters import MAX_LIMIT, MAX_REFERENCE
from query_api.problems import FIELD_CODES, parameter_error
from tests.support.query_service import DELIVERIES, ORDERS, QueryService, order_row, query_service, query_settings
from tests.support.servers import Database
from tests.support.small_service import listening

LIST = {
    "limit=0": "limit_invalid",
    "limit=-1": "limit_invalid",
    "limit=201": "limit_invalid",
    "limit=9223372036854775808": "limit_invalid",
    "limit=1e2": "limit_invalid",
    "limit=1.0": "limit_invalid",
    "limit=%2B1": "limit_invalid",
    "limit=01": "limit_invalid",
    "limit=%D9%A1": "limit_invalid",
    "limit=1_0": "limit_invalid",
    "limit=true": "limit_invalid",
    "limit=": "parameter_empty",
    "limit": "parameter_empty",
    "limit=1&limit=1": "parameter_repeated",
    "status=": "parameter_empty",
    "status=Pending": "status_invalid",
    "status=pending,captured": "status_invalid",
    "status=pending%00": "status_invalid",
    "status=pending&status=captured": "parameter_repeated",
    "created_from=2026-11-23": "timestamp_without_offset",
    "created_from=2026-11-23T01:02:03": "timestamp_without_offset",
    "created_from=2026-11-23T01:02:03+01:00": "timestamp_invalid",
    "created_from=2026-13-23T01:02:03Z": "timestamp_invalid",
    "created_from=2026-11-23T25:02:03Z": "timestamp_invalid",
    "created_from=2026-11-23T01:02:60Z": "timestamp_invalid",
    "created_from=0001-01-01T00:00:00%2B14:00": "timestamp_invalid",
    "created_to=9999-12-31T23:59:59-14:00": "timestamp_invalid",
    "created_to=1764000000": "timestamp_invalid",
    "created_to=now": "timestamp_invalid",
    "created_to=%D9%A2026-11-23T01:02:03Z": "timestamp_invalid",
    "created_to=2026-11-23T01:02:03.1234567Z": "timestamp_invalid",
    "created_to=2026-11-23T01:02:03%2B99:99": "timestamp_invalid",
    "external_reference=": "parameter_empty",
    "external_reference=%00": "external_reference_invalid",
    "external_reference=a%0Ab": "external_reference_invalid",
    "external_reference=%1B[31m": "external_reference_invalid",
    "external_reference=%E2%80%AE": "external_reference_invalid",
    "external_reference=" + "a" * 256: "external_reference_invalid",
    "api_key=hbr_test_x": "parameter_unknown",
    "Limit=1": "parameter_unknown",
    "limit[]=1": "parameter_unknown",
    "%00=1": "parameter_unknown",
    "=1": "parameter_unknown",
    "a=1&b=2&c=3": "parameter_unknown",
}

WHOLE = {
    "external_reference=%FF": "validation_failed",
    "external_reference=%ED%A0%80": "validation_failed",
    "limit=" + "1" * 5_000: "validation_failed",
    "&".join(f"a{number}=1" for number in range(100)): "validation_failed",
    "cursor=x": "cursor_invalid",
    "cursor=" + "A" * 55: "cursor_invalid",
    "cursor=%00": "cursor_invalid",
    "cursor=../../etc/passwd": "cursor_invalid",
}

DELIVERY_LIST = {
    "status=leased": "status_invalid",
    "endpoint_id=1": "endpoint_id_invalid",
    "endpoint_id={019a8b5c-0000-7000-8000-000000000000}": "endpoint_id_invalid",
    "endpoint_id=019A8B5C-0000-7000-8000-000000000000": "endpoint_id_invalid",
    "endpoint_id=urn:uuid:019a8b5c-0000-7000-8000-000000000000": "endpoint_id_invalid",
    "external_reference=a": "parameter_unknown",
}


def test_every_code_of_a_refused_parameter_is_in_the_catalogue_and_sent_by_some_query() -> None:
    assert set(FIELD_CODES) == {*LIST.values(), *DELIVERY_LIST.values()}


def test_the_catalogue_tells_the_limits_that_are_enforced() -> None:
    assert f" {MAX_LIMIT}." in FIELD_CODES["limit_invalid"]
    assert f" {MAX_REFERENCE} " in FIELD_CODES["external_reference_invalid"]


def test_a_code_that_nobody_catalogued_cannot_be_sent() -> None:
    with pytest.raises(KeyError):
        parameter_error("limit", "limit_strange", "No.")


@pytest.fixture
async def service(database: Database) -> AsyncIterator[QueryService]:
    async with query_service(database) as running:
        yield running


async def check(service: QueryService, key: dict[str, str], path: str, code: str, field_code: str | None) -> None:
    answer = await service.get(path, key)
    problem = answer.json()

    assert [answer.status_code, problem["code"]] == [422, code], path
    assert len(answer.content) <= MAX_PROBLEM_BYTES, path
    if field_code is not None:
        assert problem["errors"][0]["code"] == field_code, path
    for part in path.partition("?")[2].split("&"):
        sent = part.partition("=")[2]
        assert len(sent) < 9 or sent not in answer.text, path


async def test_a_bad_parameter_of_the_list_is_named(service: QueryService) -> None:
    key = await service.key()
    for query, field_code in LIST.items():
        await check(service, key, f"{ORDERS}?{query}", "validation_failed", field_code)


async def test_a_bad_query_string_is_refused(service: QueryService) -> None:
    key = await service.key()
    for query, code in WHOLE.items():
        await check(service, key, f"{ORDERS}?{query}", code, None)


async def test_a_bad_parameter_of_deliveries_is_named(service: QueryService) -> None:
    key = await service.key()
    for query, field_code in DELIVERY_LIST.items():
        await check(service, key, f"{DELIVERIES}?{query}", "validation_failed", field_code)


async def test_a_single_order_takes_no_parameters(service: QueryService) -> None:
    row, key = order_row(), await service.key()
    await service.rows.add_orders(row)

    await check(service, key, f"{ORDERS}/{row.order_id}?expand=lines", "validation_failed", "parameter_unknown")


async def test_all_bad_parameters_are_named_at_once(service: QueryService) -> None:
    answer = await service.get(f"{ORDERS}?a=1&limit=1&limit=2&status=", await service.key())

    codes = [error["code"] for error in answer.json()["errors"]]
    assert codes == ["parameter_unknown", "parameter_repeated", "parameter_empty"]


async def test_a_token_that_is_none_is_refused(service: QueryService) -> None:
    key = await service.key()
    for token in ("", "1", "1.", ".1", "12.1", "-1.1", "1.-1", "1.1.1", "x.y", "1.9999999999999999999", "01.1", "1.1 "):
        answer = await service.get(ORDERS, key, consistency_token=token)
        assert [answer.status_code, answer.json()["code"]] == [422, "consistency_token_invalid"], token


@pytest.mark.parametrize("parser", ["httptools", "h11"])
async def test_both_parsers_give_the_same_answers(database: Database, parser: str) -> None:
    async with (
        query_service(database) as service,
        listening(create_app(query_settings(database)), parser) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        key = await service.key()
        for query in (*LIST, *WHOLE, "limit=\xff", "limit=a b"):
            answer = await http.get(f"{ORDERS}?{query}", headers=key)
            assert answer.status_code == 422, query
            assert len(answer.content) <= MAX_PROBLEM_BYTES
