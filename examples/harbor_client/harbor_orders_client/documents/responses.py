"""What the API returns, as frozen dataclasses. Members that this version does not know are ignored.

Statuses are plain strings, so that one which is added later breaks nobody; `OrderStatus` has the ones known today and
compares equal to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from harbor_orders_client.documents.reading import MEMBER


class OrderStatus(StrEnum):
    """The status of an order."""

    PENDING = "pending"
    AUTHORIZED = "authorized"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    SETTLED = "settled"
    CANCELED = "canceled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Amount:
    """Money: the decimal, the same in whole minor units, and the currency."""

    amount: Decimal
    amount_minor: int
    currency: str

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an order; `total` = quantity x unit price."""

    line_id: int
    sku: str
    quantity: int
    unit_price: Amount
    total: Amount


@dataclass(frozen=True, slots=True)
class Order:
    """An order as of `version`; its status follows from its amounts."""

    id: str
    livemode: bool
    status: str
    version: int
    currency: str
    total: Amount
    authorized: Amount
    captured: Amount
    released: Amount
    refunded: Amount
    settled: Amount
    capturable: Amount
    refundable: Amount
    refund_status: str
    settlement_status: str
    external_reference: str | None
    customer_email: str | None
    metadata: Mapping[str, str]
    lines: tuple[Line, ...]
    allowed_transitions: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    auth_expires_at: datetime | None
    cancel_reason: str | None
    partner_id: str | None = None
    """Whose order it is; only a key of the installation is told."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it; `label` is what the key is called."""

    type: str
    id: str
    key_id: str | None
    label: str | None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event of an order: who, when, why, from which status to which."""

    sequence: int
    type: str
    event_id: str
    occurred_at: datetime
    recorded_at: datetime
    actor: Actor
    from_status: str | None = field(metadata={MEMBER: "from"})
    to_status: str = field(metadata={MEMBER: "to"})
    reason: str | None
    changes: Mapping[str, Any]
    request_id: str | None
    position: int


@dataclass(frozen=True, slots=True)
class Note:
    """A note on an order. `note` is None where its text was erased."""

    sequence: int
    event_id: str
    occurred_at: datetime
    actor: Actor
    visibility: str
    note: str | None


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """Where webhooks go, and which."""

    id: str
    url: str
    description: str
    event_types: tuple[str, ...]
    payload: str
    livemode: bool
    status: str
    status_reason: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewWebhookEndpoint(WebhookEndpoint):
    """A new endpoint. `secret` verifies its signatures and is shown only once: keep it."""

    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One POST of a delivery; `answer` is the beginning of what the receiver said."""

    attempt: int
    started_at: datetime
    latency_ms: int
    outcome: str
    status: int | None
    answer: str


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """One event on its way to one endpoint."""

    id: str
    endpoint_id: str
    event_id: str
    event_type: str
    order_id: str
    sequence: int
    status: str
    attempt_count: int
    next_attempt_at: datetime | None
    last_outcome: str | None
    last_status: int | None
    first_attempt_at: datetime | None
    last_attempt_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WebhookDeliveryWithAttempts(WebhookDelivery):
    """A delivery and its attempts, latest first."""

    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Resend:
    """A delivery that will be attempted again."""

    id: str
    status: str


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as the API shows it: its scopes and its status, never the secret."""

    id: str
    partner_id: str | None
    livemode: bool
    label: str
    scopes: tuple[str, ...]
    status: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewApiKey(ApiKey):
    """A new key. `key` is what requests carry and is shown only once: keep it."""

    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RotatedApiKey(NewApiKey):
    """The successor of a key, and that key, which works until its `expires_at`."""

    predecessor: ApiKey


@dataclass(frozen=True, slots=True)
class KeyActor:
    """Who changed a key, and what that key is called; another than its owner is `operator`, without an id."""

    type: str
    id: str | None
    label: str | None


@dataclass(frozen=True, slots=True)
class ApiKeyEvent:
    """What happened to a key."""

    id: str
    type: str
    key_id: str
    actor: KeyActor
    request_id: str
    recorded_at: datetime
    details: Mapping[str, Any]
