"""Which projections the worker applies, in this order: `orders` first, because it sees gaps in an order's events."""

from typing import Final

from projections.order_timeline import OrderTimelineProjection
from projections.orders import OrdersProjection
from projections.projection import Projection
from projections.webhooks.fanout import WebhookFanout

PROJECTIONS: Final[tuple[Projection, ...]] = (OrdersProjection(), OrderTimelineProjection(), WebhookFanout())
