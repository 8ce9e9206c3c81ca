"""The AsyncAPI 3 document of the topics: what a downstream service may rely on, generated from our own schemas."""

from collections.abc import Mapping
from typing import TypeAlias

from infra.kafka.topics import EVENTS_TOPIC, MAX_RECORD_BYTES

Json: TypeAlias = Mapping[str, object]

_COUNT = r"^[1-9][0-9]*$"
_INSTANT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"

_DESCRIPTION = """\
Every event of every order, forever. The key is the order id, so the events of one order lie in one partition, in the
order of their `sequence`. The value is the event byte for byte as the event store keeps it.

Delivery is at least once: after a fault records may be repeated, byte for byte except for the header `epoch`. Within a
partition first occurrences come in ascending `position`. A consumer that keeps the last position of each partition and
drops every record whose `position` is not greater sees each event exactly once, in order.
"""


def document(schemas: Mapping[tuple[str, int], Json]) -> dict[str, object]:
    """Return the document; `schemas` has the closed JSON Schema of the value of each (event type, schema version)."""
    names = {(type_, version): f"{type_}.v{version}" for type_, version in schemas}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Harbor Orders: topics",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 over Kafka, binary content mode.",
        },
        "defaultContentType": "application/json",
        "channels": {"orderEvents": _channel(list(names.values()))},
        "operations": {
            "receiveOrderEvents": {
                "action": "receive",
                "channel": {"$ref": "#/channels/orderEvents"},
                "summary": "Follow every order.",
                "messages": [{"$ref": f"#/channels/orderEvents/messages/{name}"} for name in names.values()],
            }
        },
        "components": {
            "messages": {name: _message(name, *key, schemas[key]) for key, name in names.items()},
            "messageTraits": {"cloudEvent": {"headers": _headers()}},
        },
    }


def _channel(names: list[str]) -> Json:
    return {
        "address": EVENTS_TOPIC,
        "title": "Order events",
        "description": _DESCRIPTION,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": EVENTS_TOPIC,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": -1,
                    "retention.bytes": -1,
                    "max.message.bytes": MAX_RECORD_BYTES,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message(name: str, type_: str, version: int, schema: Json) -> Json:
    return {
        "name": name,
        "title": f"{type_}, schema version {version}",
        "contentType": "application/json",
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": schema},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "format": "uuid", "description": "the order id"},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _headers() -> Json:
    """Return the schema of the headers; their values travel as ASCII text."""
    properties = {
        "ce_id": _text("event id", format="uuid"),
        "ce_type": _text("event type"),
        "ce_source": _text("the log the event is from", pattern=r"^/harbor/log/\d+$"),
        "ce_specversion": _text("CloudEvents version", const="1.0"),
        "ce_time": _text("when it happened", pattern=_INSTANT),
        "ce_subject": _text("order id", format="uuid"),
        "content-type": _text("of the value", const="application/json"),
        "position": _text("place in the log of all events: 1, 2, 3, ...", pattern=_COUNT),
        "sequence": _text("place in the order's own history: 1, 2, 3, ...", pattern=_COUNT),
        "epoch": _text("which relay sent the record; the one header in which repeats may differ", pattern=_COUNT),
        "recorded_at": _text("when the event store recorded it", pattern=_INSTANT),
        "tenant": _text("<partner id>.live or <partner id>.test"),
        "previous": _text(
            "position of the event before this one in the partition, 0 for the first: a consumer that stands before it "
            "has missed events (the topic was made again, or lost its beginning)",
            pattern="^(0|[1-9][0-9]*)$",
        ),
        "schema_version": _text("version of the value's schema within its type", pattern=_COUNT),
    }
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties | {"traceparent": _text("W3C trace context of the request that caused the event")},
    }


def _text(description: str, **constraints: str) -> Json:
    return {"type": "string", "description": description} | constraints
