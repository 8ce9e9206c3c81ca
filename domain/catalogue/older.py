"""Older schema versions of events that are still in the log and on the topic.

Only the catalogue needs their shapes: `domain.upcast` turns them into the current version before anything reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from domain.codec import EventVersion, event_version
from domain.order.event_parts import CurrencyCode, EventData, PositiveMinor, Totals
from domain.order.status import Status


@dataclass(frozen=True, kw_only=True)
class OrderCaptured(EventData):
    """An authorized amount was captured; `final` says that no further capture follows."""

    type: ClassVar = "order.captured"
    schema_version: ClassVar = 1

    currency: CurrencyCode
    amount_minor: PositiveMinor
    final: bool
    from_status: Status
    to_status: Status
    totals: Totals


OLDER: Mapping[str, tuple[EventVersion, ...]] = MappingProxyType({OrderCaptured.type: (event_version(OrderCaptured),)})
"""Type name -> its versions before the current one, oldest first."""
