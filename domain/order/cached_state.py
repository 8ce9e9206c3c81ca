"""The state of an order as JSON, kept with a read model so that its events need not be folded again.

It is a cache and not an event (decision 0032): a state of another shape is stale, and the events are folded again.
"""

from uuid import UUID

import orjson

from domain.instants import parse_instant
from domain.money import recorded_currency
from domain.order.errors import StaleStateError
from domain.order.ids import OrderId
from domain.order.ledger import Ledger
from domain.order.state import Line, OrderState

STATE_SHAPE = 3
"""Raise it with every change of what `dump_state` writes."""

_INSTANTS = ("created_at", "updated_at", "expires_at", "auth_expires_at", "canceled_at", "expired_at")


def dump_state(state: OrderState) -> bytes:
    """Return a state as compact JSON, from which `load_state` makes an equal one."""
    content = {"shape": STATE_SHAPE} | state._asdict() | {"currency": state.currency.code}
    return orjson.dumps(content, default=tuple, option=orjson.OPT_UTC_Z)  # lines and ledger: orjson takes no subclass


def load_state(dumped: bytes) -> OrderState:
    """Return the state that `dump_state` wrote.

    Raises:
        StaleStateError: another shape, or not a cached state at all: fold the events again.
    """
    try:
        content = orjson.loads(dumped)
        shape = content.pop("shape")
        if shape != STATE_SHAPE:
            raise StaleStateError(f"the cached state has shape {shape}, not {STATE_SHAPE}")
        for name in _INSTANTS:
            if content[name] is not None:
                content[name] = parse_instant(content[name])
        content["order_id"] = OrderId(UUID(content["order_id"]))
        content["currency"] = recorded_currency(content["currency"])
        content["lines"] = tuple(Line(*line) for line in content["lines"])
        content["ledger"] = Ledger(*content["ledger"])
        return OrderState(**content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StaleStateError(f"the cached state cannot be read: {type(error).__name__}") from None
