"""What an event changed: the facts that the timeline keeps and webhooks carry, and the former values of the order.

Both leave out what is personal. Webhooks show money as every response does; `domain.catalogue.changes` describes them.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from domain.codec import event_data
from domain.money import Currency, amount_document, recorded_currency
from domain.order.events import OrderAmended, OrderCreated, OrderEvent

_PERSONAL: Final = "personal"
_MINOR: Final = "_minor"


def facts_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of an event's `data`, of any schema version, without what is personal."""
    return {name: data[name] for name in data if name != _PERSONAL}


def change_document(event: OrderEvent) -> dict[str, Any]:
    """Return the facts of an event for partners: `amount_minor: 500` becomes `amount: {"amount": "5.00", ...}`.

    The lines of a created or amended order are left out, because the order after the event has them. Each change of an
    amendment says its line's sku instead; null where the line is removed.
    """
    facts = facts_of(event_data(event))
    if isinstance(event, OrderCreated | OrderAmended):
        del facts["lines"]
    if isinstance(event, OrderAmended):
        skus = {line.line_id: line.sku for line in event.lines}
        facts["changes"] = [change | {"sku": skus.get(change["line_id"])} for change in facts["changes"]]
    document: dict[str, Any] = _with_money(facts, recorded_currency(event.currency))
    return document


def former_values(before: bytes, after: bytes) -> dict[str, object]:
    """Return what the changed top-level members of an order document were before; both are of `render_order`."""
    old, new = orjson.loads(before), orjson.loads(after)
    return {name: value for name, value in old.items() if new.get(name) != value}


def _with_money(value: Any, currency: Currency) -> Any:
    """Render every `*_minor` in it. The partner's own metadata holds texts only, whatever their names."""
    if isinstance(value, list):
        return [_with_money(each, currency) for each in value]
    if not isinstance(value, dict):
        return value
    rendered: dict[str, Any] = {}
    for name, member in value.items():
        if name.endswith(_MINOR) and not isinstance(member, str):
            amount = None if member is None else amount_document(member, currency)
            rendered[name.removesuffix(_MINOR)] = amount
        else:
            rendered[name] = _with_money(member, currency)
    return rendered
