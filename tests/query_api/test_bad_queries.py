"""A bad query string gets its codes and never its own words back; tests/test_hostile_requests.py sends each of them."""

import pytest

from domain.order.status import Status
from domain.text import MAX_EXTERNAL_REFERENCE_CHARS
from infra.http.cursors import MAX_LIMIT
from infra.http.server.raw_route import NOT_TAKEN_CODES
from query_api.problems import FIELD_CODES, refused_as
from tests.support.requests.refused_queries import BAD_DELIVERY_LISTS, BAD_LISTS
from tests.support.services.query_service import DELIVERIES, ORDERS, QueryService


def test_every_code_of_a_refused_parameter_is_in_the_catalogue_and_sent_by_some_query() -> None:
    assert set(FIELD_CODES) - set(NOT_TAKEN_CODES) == {*BAD_LISTS.values(), *BAD_DELIVERY_LISTS.values()}


def test_the_catalogue_states_the_limits_that_are_enforced() -> None:
    assert f" {MAX_LIMIT}." in FIELD_CODES["limit_invalid"]
    assert f" {MAX_EXTERNAL_REFERENCE_CHARS} " in FIELD_CODES["external_reference_invalid"]


def test_a_code_that_is_not_in_the_catalogue_cannot_be_sent() -> None:
    with pytest.raises(KeyError):
        refused_as("limit_strange")


async def test_an_unknown_status_is_refused_with_a_plain_list_of_those_there_are(service: QueryService) -> None:
    for path, known in ((ORDERS, Status), (DELIVERIES, ("pending", "delivered", "dead", "discarded"))):
        answer = await service.get(f"{path}?status=lost", await service.key())
        assert answer.json()["errors"][0]["detail"] == f"One of: {', '.join(known)}."


async def test_nothing_of_a_bad_query_comes_back(service: QueryService) -> None:
    canary, key = "canary7f3a9", await service.key()

    for name in ("limit", "status", "created_from", "cursor", "%3Cb%3E"):
        answer = await service.get(f"{ORDERS}?{name}={canary}", key)
        assert (answer.status_code, canary in answer.text) == (422, False), name
