"""Every filter that a list declares has its condition."""

from query_api.orders.queries import ORDER_FILTERS
from query_api.orders.routes import OrderFilters
from query_api.webhooks.queries import DELIVERY_FILTERS
from query_api.webhooks.routes import DeliveryFilters


def test_every_filter_that_a_list_takes_has_its_condition() -> None:
    assert set(OrderFilters.model_fields) == set(ORDER_FILTERS)
    assert set(DeliveryFilters.model_fields) == set(DELIVERY_FILTERS)
