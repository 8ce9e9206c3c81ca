"""The projections that the worker applies, in this order: `orders` first, because it detects gaps in an order."""

from typing import Final

from projections.projection import Projection
from projections.read_models.order_timeline import OrderTimelineProjection
from projections.read_models.orders import OrdersProjection
from projections.webhooks.fanout import WebhookFanout

PROJECTIONS: Final[tuple[Projection, ...]] = (OrdersProjection(), OrderTimelineProjection(), WebhookFanout())
