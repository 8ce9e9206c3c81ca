"""The catalogue says what the code does: closed schemas, meanings for every member, pages with everything."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from domain.catalogue import events_markdown, example_events, json_schemas, older_json_schemas, states_markdown
from domain.catalogue.schemas import JsonSchema, members, shapes
from domain.codec import CURRENT, decode
from domain.order.status import Status
from domain.order.transitions import Verb

SCHEMAS = json_schemas()
GOLDEN = Path(__file__).parent / "golden"
PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas"


def all_objects() -> Iterator[JsonSchema]:
    for schema in SCHEMAS.values():
        yield from (shape for shape in shapes(schema) if shape.get("type") == "object")


def test_every_event_has_a_schema() -> None:
    assert set(SCHEMAS) == {(name, current.schema_version) for name, current in CURRENT.items()}


def test_every_older_version_has_a_schema_too() -> None:
    assert set(older_json_schemas()) == {
        (name, version) for name, current in CURRENT.items() for version in range(1, current.schema_version)
    }


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=lambda schema: schema["title"])
def test_a_schema_is_valid_json_schema(schema: JsonSchema) -> None:
    Draft202012Validator.check_schema(schema)


def test_every_object_is_closed_and_every_member_required_and_explained() -> None:
    for shape in all_objects():
        assert shape["additionalProperties"] is False
        assert shape["required"] == list(members(shape))
        assert all(member["description"] for member in members(shape).values())


@pytest.mark.parametrize("example", example_events(), ids=lambda example: json.loads(example)["type"])
def test_an_example_is_a_real_event_that_keeps_its_schema(example: bytes) -> None:
    document = json.loads(example)
    kind = document["type"], document["schema_version"]
    validator = Draft202012Validator(SCHEMAS[kind])
    validator.validate(document)
    assert str(decode(*kind, example).originator_id) == document["order_id"]
    assert document["correlation_id"] == document["request_id"]
    with pytest.raises(ValidationError):
        validator.validate(document | {"surprise": 1})


def test_the_page_of_events_shows_every_event_with_every_member() -> None:
    page = events_markdown()
    for event_type, _ in SCHEMAS:
        assert f"\n## {event_type}\n" in page
    for shape in all_objects():
        assert all(f"| `{name}` |" in page for name in members(shape))


def test_the_page_of_states_shows_every_status_and_verb() -> None:
    page = states_markdown()
    assert all(f"| **{status}** |" in page for status in Status)
    assert all(f"`{verb}`" in page for verb in Verb)
    assert "| -> captured or partially_captured |" in page
    assert "    authorized --> captured: capture\n" in page
    assert "    partially_captured --> settled: void\n" in page
    assert "    expired --> [*]\n" in page


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_every_version_ever_stored_keeps_its_published_schema(path: Path) -> None:
    document = json.loads(path.read_bytes())
    schema = json.loads((PUBLISHED / f"{document['type']}.v{document['schema_version']}.json").read_bytes())
    Draft202012Validator(schema).validate(document)
