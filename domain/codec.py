"""The codec: an event in its envelope <-> (type name, schema version, bytes). Names are data, never class paths.

The bytes are what is stored, hashed and relayed: compact JSON in a fixed key order. Reading is strict: an unknown
member, a missing one or a wrong type is refused, so a foreign record cannot pass for one of ours.
"""

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Literal, NamedTuple

import orjson
from pydantic import ValidationError, create_model

from domain.errors import MalformedEventError, UnknownEventError
from domain.instants import instant_text
from domain.order.envelope import Envelope, RecordedOrderEvent
from domain.order.event_parts import EventData
from domain.order.events import EVENT_TYPES, OrderEvent
from domain.upcast import UPCASTERS, JsonObject, Upcasters, upcast

_MAX_PLACES = 5


class EventDocument(Envelope):
    """One stored event: the envelope, its type and schema version, and its data."""

    type: str
    schema_version: int
    data: OrderEvent


class EventVersion(NamedTuple):
    """A version of an event type and the document it is stored as."""

    schema_version: int
    document: type[EventDocument]


def event_version(data: type[EventData]) -> EventVersion:
    """Return the version that the class of an event's data declares."""
    document = create_model(
        f"{data.__name__}Document",
        __base__=EventDocument,
        type=(Literal[data.type], ...),  # type: ignore[arg-type]  # mypy takes no literal of a variable
        schema_version=(Literal[data.schema_version], ...),  # type: ignore[arg-type]  # as above
        data=(data, ...),
    )
    return EventVersion(data.schema_version, document)


CURRENT: Mapping[str, EventVersion] = MappingProxyType({event.type: event_version(event) for event in EVENT_TYPES})
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


def event_data(event: OrderEvent) -> JsonObject:
    """Return the data of an event as `encode` writes it, parsed."""
    data: JsonObject = orjson.loads(orjson.dumps(event, default=_text, option=orjson.OPT_PASSTHROUGH_DATETIME))
    return data


def _text(value: object) -> str:
    """Return the text of a date or instant; an instant always has six digits, even when they are zeros."""
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
        UnknownEventError: no such type, or a version that cannot be upcast.
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
    steps = range(schema_version, to_version)
    if not steps or any((event_type, version) not in upcasters for version in steps):
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
    """Return where a document breaks its schema, without the values: they may be personal."""
    places = [
        f"{'.'.join(str(step) for step in detail['loc']) or 'document'} ({detail['type']})"
        for detail in error.errors(include_url=False, include_context=False, include_input=False)[:_MAX_PLACES]
    ]
    return ", ".join(places)
