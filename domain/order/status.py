"""The statuses of an order. Nobody sets one: `OrderState.status` computes it from the ledger.

All of them are named from the start, so that no schema that names them ever needs to widen. Which of them an order can
come to is the business of `domain.order.transitions` alone.
"""

from enum import StrEnum


class Status(StrEnum):
    """Where an order stands."""

    PENDING = "pending"
    AUTHORIZED = "authorized"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    SETTLED = "settled"
    CANCELED = "canceled"
    EXPIRED = "expired"


class Share(StrEnum):
    """How much of the captured amount something has reached: a facet of an order, never a status."""

    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"
