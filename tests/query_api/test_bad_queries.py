"""Every bad query string gets its own status and code: never a 5xx, never more than 4 KB, never its own words back."""

from collections.abc import AsyncIterator

import httpx
import pytest

from domain.text import MAX_EXTERNAL_REFERENCE_CHARS
from infra.http.cursors import MAX_LIMIT
from infra.http.problems import MAX_PROBLEM_BYTES
from query_api.app import create_app
from query_api.problems import FIELD_CODES, refused_as
from tests.support.requests.refused_queries import BAD_DELIVERY_LISTS, BAD_LISTS, BAD_QUERIES, BAD_TOKENS
from tests.support.services.query_service import (
    DELIVERIES,
    ORDERS,
    QueryService,
    order_row,
    query_service,
    query_settings,
)
from tests.support.services.servers import Database
from tests.support.services.small_service import listening


def test_every_code_of_a_refused_parameter_is_in_the_catalogue_and_sent_by_some_query() -> None:
    assert set(FIELD_CODES) == {*BAD_LISTS.values(), *BAD_DELIVERY_LISTS.values()}


def test_the_catalogue_tells_the_limits_that_are_enforced() -> None:
    assert f" {MAX_LIMIT}." in FIELD_CODES["limit_invalid"]
    assert f" {MAX_EXTERNAL_REFERENCE_CHARS} " in FIELD_CODES["external_reference_invalid"]


def test_a_code_that_nobody_catalogued_cannot_be_sent() -> None:
    with pytest.raises(KeyError):
        refused_as("limit_strange")


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
    for query, field_code in BAD_LISTS.items():
        await check(service, key, f"{ORDERS}?{query}", "validation_failed", field_code)


async def test_a_bad_query_string_is_refused(service: QueryService) -> None:
    key = await service.key()
    for query, code in BAD_QUERIES.items():
        await check(service, key, f"{ORDERS}?{query}", code, None)


async def test_a_bad_parameter_of_deliveries_is_named(service: QueryService) -> None:
    key = await service.key()
    for query, field_code in BAD_DELIVERY_LISTS.items():
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
    for token in BAD_TOKENS:
        answer = await service.get(ORDERS, key, consistency_token=token)
        assert [answer.status_code, answer.json()["code"]] == [422, "consistency_token_invalid"], token


@pytest.mark.parametrize("parser", ["httptools", "h11"])
async def test_both_parsers_give_the_same_answers(database: Database, parser: str) -> None:
    async with (
        query_service(database) as service,
        listening(create_app(query_settings(database)), parser) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
    ):
        key = await service.key()
        for query in (*BAD_LISTS, *BAD_QUERIES, "limit=\xff", "limit=a b"):
            answer = await http.get(f"{ORDERS}?{query}", headers=key)
            assert answer.status_code == 422, query
            assert len(answer.content) <= MAX_PROBLEM_BYTES
