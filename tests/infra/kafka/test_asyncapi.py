from hypothesis import given
from jsonschema import Draft202012Validator

from infra.event_store.protocol import StoredEvent
from infra.kafka.asyncapi import document
from infra.kafka.records import to_record
from infra.kafka.topics import EVENTS_TOPIC
from tests.support.event_store.stored_events import stored_events

SCHEMAS: dict[tuple[str, int], dict[str, object]] = {
    ("order.created", 1): {"type": "object", "additionalProperties": False},
    ("order.created", 2): {"type": "object"},
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
    payload = at(generated, "components", "messages", "order.created.v1", "payload", "schema")
    assert payload == SCHEMAS["order.created", 1]


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
    assert set(schema["required"]) <= set(headers) <= set(schema["properties"])
