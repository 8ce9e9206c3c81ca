"""The codec: an event in its envelope <-> (type name, schema version, bytes). Names are data, never class paths.

The bytes are what is stored, hashed and relayed: compact JSON in a fixed key order. Reading is strict: an unknown
member, a missing one or a wrong type is refused, so a foreign record cannot pass for one of ours.
"""

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Literal, NamedTuple

import orjson
from pydantic import ValidationError

from domain.errors import MalformedEventError, UnknownEventError
from domain.instants import instant_text
from domain.order.envelope import Envelope, RecordedOrderEvent
from domain.order.events import (
    OrderAmended,
    OrderAuthorizationReleased,
    OrderAuthorized,
    OrderCanceled,
    OrderCaptured,
    OrderCreated,
    OrderDetailsChanged,
    OrderEvent,
    OrderExpired,
    OrderNoteAdded,
    OrderRefunded,
    OrderSettled,
    OrderSettlementRecorded,
)
from domain.upcast import UPCASTERS, JsonObject, Upcasters, upcast

_MAX_PLACES_NAMED = 5


class EventDocument(Envelope):
    """One stored event: the envelope, its type and schema version, and its data."""

    type: str
    schema_version: int
    data: OrderEvent


class _Created(EventDocument):
    type: Literal["order.created"]
    schema_version: Literal[1]
    data: OrderCreated


class _Amended(EventDocument):
    type: Literal["order.amended"]
    schema_version: Literal[1]
    data: OrderAmended


class _DetailsChanged(EventDocument):
    type: Literal["order.details_changed"]
    schema_version: Literal[1]
    data: OrderDetailsChanged


class _NoteAdded(EventDocument):
    type: Literal["order.note_added"]
    schema_version: Literal[1]
    data: OrderNoteAdded


class _Authorized(EventDocument):
    type: Literal["order.authorized"]
    schema_version: Literal[1]
    data: OrderAuthorized


class _Captured(EventDocument):
    type: Literal["order.captured"]
    schema_version: Literal[2]
    data: OrderCaptured


class _AuthorizationReleased(EventDocument):
    type: Literal["order.authorization_released"]
    schema_version: Literal[1]
    data: OrderAuthorizationReleased


class _Canceled(EventDocument):
    type: Literal["order.canceled"]
    schema_version: Literal[1]
    data: OrderCanceled


class _Expired(EventDocument):
    type: Literal["order.expired"]
    schema_version: Literal[1]
    data: OrderExpired


class _Refunded(EventDocument):
    type: Literal["order.refunded"]
    schema_version: Literal[1]
    data: OrderRefunded


class _SettlementRecorded(EventDocument):
    type: Literal["order.settlement_recorded"]
    schema_version: Literal[1]
    data: OrderSettlementRecorded


class _Settled(EventDocument):
    type: Literal["order.settled"]
    schema_version: Literal[1]
    data: OrderSettled


class EventVersion(NamedTuple):
    """A version of an event type and the document it is stored as."""

    schema_version: int
    document: type[EventDocument]


CURRENT: Mapping[str, EventVersion] = MappingProxyType(
    {
        OrderCreated.type: EventVersion(OrderCreated.schema_version, _Created),
        OrderAmended.type: EventVersion(OrderAmended.schema_version, _Amended),
        OrderDetailsChanged.type: EventVersion(OrderDetailsChanged.schema_version, _DetailsChanged),
        OrderNoteAdded.type: EventVersion(OrderNoteAdded.schema_version, _NoteAdded),
        OrderAuthorized.type: EventVersion(OrderAuthorized.schema_version, _Authorized),
        OrderCaptured.type: EventVersion(OrderCaptured.schema_version, _Captured),
        OrderAuthorizationReleased.type: EventVersion(
            OrderAuthorizationReleased.schema_version, _AuthorizationReleased
        ),
        OrderCanceled.type: EventVersion(OrderCanceled.schema_version, _Canceled),
        OrderExpired.type: EventVersion(OrderExpired.schema_version, _Expired),
        OrderRefunded.type: EventVersion(OrderRefunded.schema_version, _Refunded),
        OrderSettlementRecorded.type: EventVersion(OrderSettlementRecorded.schema_version, _SettlementRecorded),
        OrderSettled.type: EventVersion(OrderSettled.schema_version, _Settled),
    }
)
"""Type name -> its current version, in the order of an order's life."""

_ENVELOPE_FIELDS = tuple(Envelope.model_fields)
_ENVELOPE_FIELDS_SET = frozenset(_ENVELOPE_FIELDS)


def encode(event: OrderEvent, envelope: Envelope) -> bytes:
    """Return the bytes to store and relay."""
    actor = envelope.actor
    return orjson.dumps(
        {
            "event_id": envelope.event_id,
            "type": event.type,
            "schema_version": event.schema_version,
            "order_id": envelope.order_id,
            "sequence": envelope.sequence,
            "occurred_at": envelope.occurred_at,
            "partner_id": envelope.partner_id,
            "livemode": envelope.livemode,
            "actor": {"type": actor.type, "id": actor.id, "key_id": actor.key_id},
            "request_id": envelope.request_id,
            "traceparent": envelope.traceparent,
            "correlation_id": envelope.correlation_id,
            "causation_id": envelope.causation_id,
            "data": event,
        },
        default=_text,
        option=orjson.OPT_PASSTHROUGH_DATETIME,
    )


def _text(value: object) -> str:
    """Return what orjson leaves to us: an instant always has six digits, also when they are zeros."""
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"no part of an event is a {type(value).__name__}")


def decode(
    event_type: str, schema_version: int, payload: bytes, *, upcasters: Upcasters = UPCASTERS
) -> RecordedOrderEvent:
    """Return the event that `payload` holds, in its current version.

    Raises:
        UnknownEventError: no such type, or a version that no upcaster leads on from.
        MalformedEventError: the document does not fit its schema.
    """
    current = CURRENT.get(event_type)
    if current is None:
        raise UnknownEventError(event_type, schema_version)
    try:
        if schema_version != current.schema_version:
            payload = _upcast_document(event_type, schema_version, current.schema_version, payload, upcasters)
        document = current.document.model_validate_json(payload)
    except ValidationError as error:
        raise MalformedEventError(event_type, schema_version, _places(error)) from None
    envelope = Envelope.model_construct(
        _fields_set=set(_ENVELOPE_FIELDS_SET), **{name: getattr(document, name) for name in _ENVELOPE_FIELDS}
    )
    return RecordedOrderEvent(document.data, envelope)


def _upcast_document(
    event_type: str, schema_version: int, to_version: int, payload: bytes, upcasters: Upcasters
) -> bytes:
    if any((event_type, version) not in upcasters for version in range(schema_version, to_version)) or (
        schema_version > to_version
    ):
        raise UnknownEventError(event_type, schema_version)
    try:
        document: JsonObject = orjson.loads(payload)
        data = document["data"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise MalformedEventError(event_type, schema_version, "document") from None
    if not isinstance(data, dict) or document.get("schema_version") != schema_version:
        raise MalformedEventError(event_type, schema_version, "data, schema_version")
    upcasted = upcast(event_type, schema_version, to_version, data, upcasters)
    return orjson.dumps(document | {"schema_version": to_version, "data": upcasted})


def _places(error: ValidationError) -> str:
    """Name where a document breaks its schema; the values stay unsaid, they may be personal."""
    places = [
        f"{'.'.join(str(step) for step in detail['loc']) or 'document'} ({detail['type']})"
        for detail in error.errors(include_url=False, include_context=False, include_input=False)[:_MAX_PLACES_NAMED]
    ]
    return ", ".join(places)
