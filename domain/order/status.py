"""The statuses of an order. Nobody sets one: `OrderState.status` computes it from the ledger.

`domain.order.transitions` says which of them an order can reach.
"""

from enum import StrEnum


class Status(StrEnum):
    """The status of an order."""

    PENDING = "pending"
    AUTHORIZED = "authorized"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    SETTLED = "settled"
    CANCELED = "canceled"
    EXPIRED = "expired"


class Completion(StrEnum):
    """How much of the captured amount was refunded or settled: a facet of an order, never a status."""

    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"
