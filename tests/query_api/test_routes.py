"""What OpenAPI promises is what the service does: one declaration, and a condition for every filter."""

from domain.order.document import Order
from query_api.openapi import document
from query_api.orders.queries import ORDER_FILTERS
from query_api.orders.routes import OrderFilters
from query_api.webhooks.queries import DELIVERY_FILTERS
from query_api.webhooks.routes import DeliveryFilters


def test_every_filter_that_a_list_takes_has_its_condition() -> None:
    assert set(OrderFilters.model_fields) == set(ORDER_FILTERS)
    assert set(DeliveryFilters.model_fields) == set(DELIVERY_FILTERS)


def test_the_document_is_openapi_3_1_and_describes_every_error_once() -> None:
    described = document()

    assert described["openapi"].startswith("3.1")
    assert described["components"]["schemas"]["Problem"]["required"][0] == "type"
    assert list(described["components"]["schemas"]["Order"]["properties"]) == list(Order.model_fields)
    for path in described["paths"].values():
        assert {"401", "403", "503"} <= set(path["get"]["responses"])
