"""What OpenAPI promises is what the service does: one declaration, and a condition for every filter."""

import pytest
from fastapi.routing import APIRoute

from domain.order.document import Order
from infra.http.server.raw_route import RawRoute
from infra.http.strict_route import StrictRoute
from query_api.app import ROUTERS
from query_api.openapi import document
from query_api.orders.queries import ORDER_FILTERS
from query_api.orders.routes import OrderFilters
from query_api.webhooks.queries import DELIVERY_FILTERS
from query_api.webhooks.routes import DeliveryFilters

ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def test_every_filter_that_a_list_takes_has_its_condition() -> None:
    assert set(OrderFilters.model_fields) == set(ORDER_FILTERS)
    assert set(DeliveryFilters.model_fields) == set(DELIVERY_FILTERS)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_a_route_is_described_once_by_its_signature(route: APIRoute) -> None:
    """No dependency exists for OpenAPI alone: each returns what the endpoint or another dependency takes."""
    nameless = [each.call for each in route.dependant.dependencies if each.name is None]

    assert isinstance(route, StrictRoute | RawRoute)
    assert route.response_model is not None
    assert [type(call).__name__ for call in nameless] == ["RequiredScope"]


def test_the_document_is_openapi_3_1_and_describes_every_error_once() -> None:
    described = document()

    assert described["openapi"].startswith("3.1")
    assert described["components"]["schemas"]["Problem"]["required"][0] == "type"
    assert list(described["components"]["schemas"]["Order"]["properties"]) == list(Order.model_fields)
    for path in described["paths"].values():
        assert {"401", "403", "503"} <= set(path["get"]["responses"])
