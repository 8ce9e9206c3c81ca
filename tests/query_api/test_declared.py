"""What OpenAPI promises is what the service does: scopes, parameters, documents."""

from collections.abc import Mapping
from typing import Any, get_args

import orjson
import pytest
from fastapi.routing import APIRoute

from domain.order.document import Order, render_order
from domain.order.status import Status
from infra.http.app import PUBLIC_PATHS
from infra.http.auth import declared_scopes
from query_api.app import ROUTERS
from query_api.openapi import document
from query_api.orders import declared, routes
from query_api.parameters import ORDER_STATUSES
from query_api.webhooks import routes as webhook_routes
from tests.support.orders.builders import order_state

ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_route_declares_its_scope_and_only_reads(route: APIRoute) -> None:
    scopes = declared_scopes(route)

    assert scopes, f"{route.path} can be called by anybody"
    assert route.methods == {"GET"}
    assert all(scope.endswith(":read") for scope in scopes)
    assert route.path not in PUBLIC_PATHS


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("/api/v1/orders", routes.LIST),
        ("/api/v1/orders/{order_id}", routes.NONE),
        ("/api/v1/orders/{order_id}/timeline", routes.TIMELINE),
        ("/api/v1/orders/{order_id}/notes", routes.NOTES),
        ("/api/v1/webhook-deliveries", webhook_routes.LIST),
        ("/api/v1/webhook-deliveries/{delivery_id}", webhook_routes.NONE),
    ],
)
def test_the_declared_parameters_are_the_accepted_ones(path: str, taken: frozenset[str]) -> None:
    declared: list[Mapping[str, Any]] = document()["paths"][path]["get"]["parameters"]

    assert {parameter["name"] for parameter in declared if parameter["in"] == "query"} == taken


def test_every_status_of_the_domain_can_be_filtered_by() -> None:
    assert tuple(Status) == ORDER_STATUSES
    assert get_args(declared.OrderStatus) == ORDER_STATUSES


@pytest.mark.parametrize("verbs", [(), ("authorize",), ("authorize", "capture"), ("cancel",)])
def test_the_documented_order_is_the_order_that_is_served(verbs: tuple[str, ...]) -> None:
    served = render_order(order_state(*verbs))

    Order.model_validate_json(served)
    assert list(orjson.loads(served)) == list(Order.model_fields)


def test_the_document_is_openapi_3_1_and_describes_every_error_once() -> None:
    described = document()

    assert described["openapi"].startswith("3.1")
    assert described["components"]["schemas"]["Problem"]["required"][0] == "type"
    for path in described["paths"].values():
        assert {"401", "403", "503"} <= set(path["get"]["responses"])
