"""The state of an order as JSON, kept beside a read model so that it need not be folded again.

A cache, not an event (decision 0032): a state of another shape is stale, and its events are folded anew.
"""

from datetime import datetime
from uuid import UUID

import orjson

from domain.instants import instant_text, parse_instant
from domain.money import recorded_currency
from domain.order.errors import StaleStateError
from domain.order.ids import OrderId
from domain.order.ledger import Ledger
from domain.order.state import Line, OrderState

STATE_SHAPE = 2
"""Raise it with every change of what `dump_state` writes."""


def dump_state(state: OrderState) -> bytes:
    """Return a state as compact JSON; `load_state` gives an equal one."""
    return orjson.dumps(
        {
            "shape": STATE_SHAPE,
            "order_id": state.order_id,
            "partner_id": state.partner_id,
            "livemode": state.livemode,
            "version": state.version,
            "currency": state.currency.code,
            "lines": [tuple(line) for line in state.lines],
            "ledger": tuple(state.ledger),
            "customer_email": state.customer_email,
            "external_reference": state.external_reference,
            "metadata": state.metadata,
            "created_at": instant_text(state.created_at),
            "updated_at": instant_text(state.updated_at),
            "expires_at": instant_text(state.expires_at),
            "auth_expires_at": _text(state.auth_expires_at),
            "canceled_at": _text(state.canceled_at),
            "expired_at": _text(state.expired_at),
            "cancel_reason": state.cancel_reason,
            "last_line_id": state.last_line_id,
            "note_count": state.note_count,
        }
    )


def load_state(dumped: bytes) -> OrderState:
    """Return the state that `dump_state` wrote.

    Raises:
        StaleStateError: another shape, or not ours: fold the events again.
    """
    try:
        kept = orjson.loads(dumped)
        if kept["shape"] != STATE_SHAPE:
            raise StaleStateError(f"the cached state has shape {kept['shape']}, not {STATE_SHAPE}")
        return OrderState(
            order_id=OrderId(UUID(kept["order_id"])),
            partner_id=kept["partner_id"],
            livemode=kept["livemode"],
            version=kept["version"],
            currency=recorded_currency(kept["currency"]),
            lines=tuple(Line(*line) for line in kept["lines"]),
            ledger=Ledger(*kept["ledger"]),
            customer_email=kept["customer_email"],
            external_reference=kept["external_reference"],
            metadata=kept["metadata"],
            created_at=parse_instant(kept["created_at"]),
            updated_at=parse_instant(kept["updated_at"]),
            expires_at=parse_instant(kept["expires_at"]),
            auth_expires_at=_instant(kept["auth_expires_at"]),
            canceled_at=_instant(kept["canceled_at"]),
            expired_at=_instant(kept["expired_at"]),
            cancel_reason=kept["cancel_reason"],
            last_line_id=kept["last_line_id"],
            note_count=kept["note_count"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StaleStateError(f"the cached state cannot be read: {type(error).__name__}") from None


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant_text(instant)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)
