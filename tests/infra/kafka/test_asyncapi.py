from hypothesis import given
from jsonschema import Draft202012Validator

from domain.catalogue import json_schemas, older_json_schemas
from infra.event_store.protocol import StoredEvent
from infra.kafka.asyncapi import document
from infra.kafka.records import dataschema, to_record
from infra.settings import EVENTS_TOPIC
from tests.support.event_store.stored_events import stored_events


def schema_of(version: int, **shapes: object) -> dict[str, object]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:harbor-orders:schema:order.created.v{version}",
        "$defs": shapes,
        "type": "object",
        "properties": {"data": {"$ref": "#/$defs/Data"}, "totals": {"$ref": "#/$defs/Totals", "description": "sums"}},
    }


SCHEMAS: dict[tuple[str, int], dict[str, object]] = {
    ("order.created", 1): schema_of(1, Data={"const": 1}, Totals={"type": "object"}),
    ("order.created", 2): schema_of(2, Data={"items": {"$ref": "#/$defs/Totals"}}, Totals={"type": "object"}),
}


def at(node: object, *path: str) -> object:
    for key in path:
        assert isinstance(node, dict), f"{key} has no parent"
        node = node[key]
    return node


def test_each_type_and_version_is_a_message_of_the_channel_with_its_own_schema() -> None:
    generated = document(SCHEMAS)
    assert generated["asyncapi"] == "3.0.0"
    assert at(generated, "channels", "orderEvents", "address") == EVENTS_TOPIC
    assert at(generated, "channels", "orderEvents", "messages") == {
        "order.created.v1": {"$ref": "#/components/messages/order.created.v1"},
        "order.created.v2": {"$ref": "#/components/messages/order.created.v2"},
    }
    payload = at(generated, "components", "messages", "order.created.v1", "payload")
    assert payload == {"$ref": "#/components/schemas/order.created.v1"}


def test_a_shape_is_shared_where_it_is_the_same_and_has_the_name_of_its_schema_where_it_differs() -> None:
    inside = "#/components/schemas/"
    totals = {"$ref": f"{inside}Totals"}

    assert at(document(SCHEMAS), "components", "schemas") == {
        "Totals": {"type": "object"},
        "order.created.v1": {
            "type": "object",
            "properties": {
                "data": {"$ref": f"{inside}order.created.v1.Data"},
                "totals": totals | {"description": "sums"},
            },
        },
        "order.created.v1.Data": {"const": 1},
        "order.created.v2": {
            "type": "object",
            "properties": {
                "data": {"$ref": f"{inside}order.created.v2.Data"},
                "totals": totals | {"description": "sums"},
            },
        },
        "order.created.v2.Data": {"items": totals},
    }


def test_every_reference_leads_somewhere() -> None:
    generated = document(SCHEMAS)

    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if "$ref" in node else []
            return own + [each for child in node.values() for each in references(child)]
        return [each for child in node for each in references(child)] if isinstance(node, list) else []

    found = references(generated)
    assert found
    for reference in found:
        assert at(generated, *reference.removeprefix("#/").split("/")) is not None


@given(event=stored_events())
def test_the_headers_of_any_record_match_their_schema(event: StoredEvent) -> None:
    schema = at(document(SCHEMAS), "components", "messageTraits", "cloudEvent", "headers")
    assert isinstance(schema, dict)
    headers = {name: value.decode("ascii") for name, value in to_record(event, epoch=1).headers}
    Draft202012Validator(schema).validate(headers)
    assert set(schema["required"]) < set(headers) <= set(schema["properties"])


def test_a_record_names_the_schema_of_its_type_and_version() -> None:
    for (event_type, version), schema in (json_schemas() | older_json_schemas()).items():
        assert dataschema(event_type, version).decode() == schema["$id"]
