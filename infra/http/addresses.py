"""Addresses that both services serve, or that the documentation of one names for the other."""

from typing import Final

ORDERS: Final = "/api/v1/orders"
WEBHOOK_DELIVERIES: Final = "/api/v1/webhook-deliveries"
