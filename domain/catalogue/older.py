"""Older schema versions of events that are still in the log and on the topic.

Only the catalogue needs their shapes: `domain.upcast` makes the current version of them before anything reads one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

from domain.codec import EventDocument, EventVersion
from domain.order.event_parts import CurrencyCode, Document, PositiveMinor, Totals
from domain.order.status import Status


@dataclass(frozen=True, kw_only=True)
class OrderCaptured(Document):
    """An authorized amount was taken; `final` says that no further capture follows."""

    type: ClassVar = "order.captured"
    schema_version: ClassVar = 1

    currency: CurrencyCode
    amount_minor: PositiveMinor
    final: bool
    from_status: Status
    to_status: Status
    totals: Totals


class _Captured(EventDocument):
    type: Literal["order.captured"]
    schema_version: Literal[1]
    data: OrderCaptured  # type: ignore[assignment]  # what decoding gives is the current version


OLDER: Mapping[str, tuple[EventVersion, ...]] = MappingProxyType({"order.captured": (EventVersion(1, _Captured),)})
"""Type name -> its versions before the current one, oldest first."""
