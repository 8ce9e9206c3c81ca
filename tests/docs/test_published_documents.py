"""The documents for machines are what their standards' own tools read: OpenAPI, AsyncAPI, JSON Schema."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from domain.catalogue import example_events
from tests.support import npm

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
PARSER: Final = Path(__file__).parent / "asyncapi"
NEWER_VERSION_EXISTS: Final = "asyncapi-latest-version"
SCHEMAS: Final = {path.stem: json.loads(path.read_bytes()) for path in sorted((DOCS / "schemas").glob("*.json"))}


@pytest.fixture(scope="module")
def parsed() -> Any:
    """Return what AsyncAPI's own parser says of docs/asyncapi.json; the first run installs it."""
    npm.install(PARSER)
    return json.loads(npm.run(PARSER / "parse.mjs", (DOCS / "asyncapi.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("service", ["command", "query"])
def test_an_openapi_document_is_one(service: str) -> None:
    document = json.loads((DOCS / "openapi" / f"{service}.json").read_bytes())

    assert document["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


@pytest.mark.timeout(300)
def test_the_asyncapi_document_is_one_with_a_message_for_each_schema(parsed: Any) -> None:
    assert [each for each in parsed["problems"] if each["code"] != NEWER_VERSION_EXISTS] == []
    assert sorted(each["name"] for each in parsed["messages"]) == sorted(SCHEMAS)


@pytest.mark.timeout(300)
def test_a_message_takes_the_events_that_its_schema_takes(parsed: Any) -> None:
    payloads = {each["name"]: Draft202012Validator(each["payload"]) for each in parsed["messages"]}
    for example in map(json.loads, example_events()):
        name = f"{example['type']}.v{example['schema_version']}"
        for event, is_valid in ((example, True), (example | {"surprise": 1}, False), (example | {"data": {}}, False)):
            assert payloads[name].is_valid(event) is is_valid, name
            assert Draft202012Validator(SCHEMAS[name]).is_valid(event) is is_valid, name


@pytest.mark.timeout(300)
def test_a_message_names_its_type_version_and_schema_in_its_headers(parsed: Any) -> None:
    for message in parsed["messages"]:
        name, headers = message["name"], message["headers"]
        constant = {header: each["const"] for header, each in headers["properties"].items() if "const" in each}
        event_type, _, version = name.rpartition(".v")
        assert constant == {
            "ce_type": event_type,
            "schema_version": version,
            "ce_dataschema": SCHEMAS[name]["$id"],
            "ce_specversion": "1.0",
            "content-type": "application/json",
        }
        assert "ce_dataschema" not in headers["required"], "the oldest records lack it"
        assert {"ce_type", "previous", "position"} <= set(headers["required"])
