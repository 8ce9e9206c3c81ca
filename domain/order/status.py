"""The statuses of an order. Nobody sets one: `OrderState.status` computes it from the ledger."""

from enum import StrEnum


class Status(StrEnum):
    """Where an order stands."""

    PENDING = "pending"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    CANCELED = "canceled"


class Share(StrEnum):
    """How much of the captured amount something has reached: a facet of an order, never a status."""

    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"
