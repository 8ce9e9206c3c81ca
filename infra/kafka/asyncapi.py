"""The AsyncAPI 3 document of the topics: what a downstream service may rely on, generated from our own schemas."""

from collections.abc import Mapping
from typing import Final

from infra.kafka.components import IN_COMPONENTS, Json, as_components
from infra.kafka.topics import MAX_RECORD_BYTES
from infra.settings import EVENTS_TOPIC

_COUNT = r"^[1-9][0-9]*$"
_INSTANT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"

_DESCRIPTION = """\
Every event of every order, forever. The key is the order id, so the events of one order lie in one partition, in the
order of their `sequence`. The value is the event byte for byte as the event store keeps it.

Delivery is at least once: after a fault records may be repeated, byte for byte except for the header `epoch`. Within a
partition first occurrences come in ascending `position`. A consumer that keeps the last position of each partition and
drops every record whose `position` is not greater sees each event exactly once, in order.

The value of each record keeps the JSON Schema that its header `ce_dataschema` names by `$id`; all are in docs/schemas.
"""
_SERVER: Final[Json] = {
    "host": "{bootstrap_server}",
    "protocol": "kafka",
    "description": "The brokers of the installation. `make status` prints the address of a local one.",
    "variables": {"bootstrap_server": {"default": "127.0.0.1:9092", "description": "host:port of a broker"}},
}
_SINCE_LATER: Final = frozenset({"ce_dataschema"})
"""Headers that the oldest records lack."""


def document(schemas: Mapping[tuple[str, int], Json]) -> dict[str, object]:
    """Return the document; `schemas` has the closed JSON Schema of the value of each (event type, schema version)."""
    names = {key: f"{key[0]}.v{key[1]}" for key in schemas}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Harbor Orders: topics",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 over Kafka, binary content mode.",
        },
        "defaultContentType": "application/json",
        "servers": {"kafka": _SERVER},
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
            "schemas": as_components({name: schemas[key] for key, name in names.items()}),
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
        "headers": {
            "type": "object",
            "properties": {
                "ce_type": {"const": type_},
                "schema_version": {"const": str(version)},
                "ce_dataschema": {"const": schema["$id"]},
            },
        },
        "payload": {"$ref": IN_COMPONENTS + name},
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
        "ce_dataschema": _text(
            "the `$id` of the JSON Schema of the value; records of before this header was introduced lack it",
            format="uri",
        ),
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
        "required": [name for name in properties if name not in _SINCE_LATER],
        "properties": properties | {"traceparent": _text("W3C trace context of the request that caused the event")},
    }


def _text(description: str, **constraints: str) -> Json:
    return {"type": "string", "description": description} | constraints
