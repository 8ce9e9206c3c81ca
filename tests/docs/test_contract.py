"""The contract check tells breaking changes of our OpenAPI documents from additions; each is made in a small document.

What a change of each keyword of a schema means is in `test_contract_schemas.py`.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from docs.contract.gate import OPENAPI, PUBLISHED, AcceptanceError, Accepted, judge, judge_all, publish, read_accepted
from docs.contract.operations import changes

Json = dict[str, Any]

THING: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "size"],
    "properties": {
        "name": {"type": "string", "maxLength": 10},
        "size": {"type": "string", "enum": ["s", "m", "l"]},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
    },
}
TEXT: Final[Json] = {"type": "string"}
X: Final[Json] = {"name": "x", "in": "query", "required": True, "schema": TEXT}
CONTRACT: Final[Json] = {
    "info": {"version": "1"},
    "security": [{"bearer": []}, {"x_api_key": []}],
    "paths": {
        "/things": {
            "post": {
                "operationId": "make_thing",
                "tags": ["things"],
                "x-required-scopes": ["things:write"],
                "parameters": [
                    {"name": "Key", "in": "header", "required": True, "schema": TEXT},
                    {"name": "limit", "in": "query", "required": False, "schema": {"type": "integer", "maximum": 9}},
                ],
                "requestBody": {
                    "required": False,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ThingBody"}}},
                },
                "responses": {
                    "201": {
                        "headers": {"ETag": {"schema": TEXT, "required": True}, "Location": {"schema": TEXT}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                    },
                    "409": {
                        "content": {"application/problem+json": {"schema": {}, "examples": {"taken": {}, "gone": {}}}}
                    },
                },
            },
            "get": {"operationId": "list_things", "security": [], "responses": {"200": {}}},
        },
    },
    "webhooks": {
        "thing.made": {
            "post": {
                "parameters": [{"name": "webhook-id", "in": "header", "required": True, "schema": TEXT}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                },
                "responses": {"2XX": {}},
            }
        }
    },
    "components": {
        "securitySchemes": {"bearer": {"type": "http"}, "x_api_key": {"type": "apiKey", "name": "X-API-Key"}},
        "schemas": {
            "Thing": THING,
            "ThingBody": copy.deepcopy(THING),
            "Part": {"type": "object", "properties": {"id": {"type": "integer"}}},
        },
    },
}
PLACES: Final[dict[str, tuple[str, ...]]] = {
    "document": (),
    "make": ("paths", "/things", "post"),
    "list": ("paths", "/things", "get"),
    "made": ("paths", "/things", "post", "responses", "201"),
    "body": ("paths", "/things", "post", "requestBody"),
    "problem": ("paths", "/things", "post", "responses", "409", "content", "application/problem+json"),
    "webhook": ("webhooks", "thing.made", "post"),
    "sent": ("components", "schemas", "ThingBody"),
    "received": ("components", "schemas", "Thing"),
    "part": ("components", "schemas", "Part"),
    "logins": ("components", "securitySchemes"),
}
Edit = Callable[[Json], object]


def _at(document: Json, place: str, steps: tuple[str | int, ...]) -> Any:
    value: Any = document
    for step in (*PLACES[place], *steps):
        value = value[step]
    return value


def put(value: object, place: str, *steps: str | int) -> Edit:
    """Return an edit that sets the member at the end of the steps, or adds it to a list."""

    def edit(document: Json) -> None:
        holder = _at(document, place, steps[:-1])
        holder.append(value) if isinstance(holder, list) and steps[-1] == len(holder) else holder.__setitem__(
            steps[-1], copy.deepcopy(value)
        )

    return edit


def drop(place: str, *steps: str | int) -> Edit:
    return lambda document: _at(document, place, steps[:-1]).pop(steps[-1])


def edited(edit: Edit) -> Json:
    document = copy.deepcopy(CONTRACT)
    edit(document)
    return document


BREAKING: Final[dict[str, Edit]] = {
    "a path is removed": drop("document", "paths", "/things"),
    "an operation is removed": drop("document", "paths", "/things", "get"),
    "an operation has another id": put("create_thing", "make", "operationId"),
    "an operation has another tag": put(["other"], "make", "tags"),
    "an operation has another scope": put(["things:make"], "make", "x-required-scopes"),
    "an open route asks for a scope": put(["things:read"], "list", "x-required-scopes"),
    "an open route asks for a login": put([{"bearer": []}], "list", "security"),
    "an open route asks for the login of all": drop("list", "security"),
    "a login no longer opens a route": put([{"bearer": []}], "make", "security"),
    "a login no longer opens any route": put([{"bearer": []}], "document", "security"),
    "a way to log in is removed": drop("logins", "x_api_key"),
    "a way to log in is another": put("X-Key", "logins", "x_api_key", "name"),
    "a parameter is removed": drop("make", "parameters", 1),
    "a parameter of a query is in capitals": put("LIMIT", "make", "parameters", 1, "name"),
    "a required parameter is added": put(X, "make", "parameters", 2),
    "a required parameter of the whole path is added": put([X], "document", "paths", "/things", "parameters"),
    "a parameter becomes required": put(True, "make", "parameters", 1, "required"),
    "a parameter takes less": put(8, "make", "parameters", 1, "schema", "maximum"),
    "a parameter is written otherwise": put("pipeDelimited", "make", "parameters", 1, "style"),
    "a body becomes required": put(True, "body", "required"),
    "a body is no longer taken": drop("make", "requestBody"),
    "a body is of another content type": put({"text/plain": {}}, "body", "content"),
    "a body is encoded otherwise": put({"name": {}}, "body", "content", "application/json", "encoding"),
    "a property of a request is removed": drop("sent", "properties", "note"),
    "a property of a request becomes required": put("note", "sent", "required", 2),
    "a request takes less": put(9, "sent", "properties", "name", "maxLength"),
    "unknown properties are refused": put(False, "part", "additionalProperties"),
    "a response is removed": drop("make", "responses", "409"),
    "a success has another status": put({}, "make", "responses", "202"),
    "a response has another content type": put({"text/csv": {}}, "made", "content"),
    "a response has links": put({"next": {}}, "made", "links"),
    "a property of a response is removed": drop("received", "properties", "note"),
    "a property of a response becomes optional": drop("received", "required", 1),
    "a response has a further value": put("xl", "received", "properties", "size", "enum", 3),
    "a response may be longer": put(11, "received", "properties", "name", "maxLength"),
    "what is nested changes its type": put("string", "part", "properties", "id", "type"),
    "an error loses its code": drop("problem", "examples", "gone"),
    "a header is removed": drop("made", "headers", "ETag"),
    "a header becomes optional": put(False, "made", "headers", "ETag", "required"),
    "a header has another type": put({"type": "integer"}, "made", "headers", "ETag", "schema"),
    "a header has any type": drop("made", "headers", "ETag", "schema"),
    "a header is written otherwise": put(True, "made", "headers", "ETag", "explode"),
    "an operation is at another server": put([{"url": "/v2"}], "make", "servers"),
    "a path is at another server": put([{"url": "/v2"}], "document", "paths", "/things", "servers"),
    "everything is at another server": put([{"url": "/v2"}], "document", "servers"),
    "the document has another dialect": put("https://other.example", "document", "jsonSchemaDialect"),
    "a licence is named": put({"name": "other"}, "document", "info", "license"),
    "a webhook is removed": drop("document", "webhooks", "thing.made"),
    "a webhook may come without a body": put(False, "webhook", "requestBody", "required"),
    "a header of a webhook is removed": drop("webhook", "parameters", 0),
    "the response to a webhook must be more": put(
        {"headers": {"X": {"required": True}}}, "webhook", "responses", "2XX"
    ),
}
ADDITIVE: Final[dict[str, Edit]] = {
    "a path is added": put({"get": {"responses": {}}}, "document", "paths", "/others"),
    "an optional parameter is added": put(X | {"required": False}, "make", "parameters", 2),
    "a parameter becomes optional": put(False, "make", "parameters", 0, "required"),
    "a parameter takes more": put(10, "make", "parameters", 1, "schema", "maximum"),
    "an optional property is added to a request": put(TEXT, "sent", "properties", "colour"),
    "a property of a request becomes optional": drop("sent", "required", 0),
    "a request takes a further value": put("xl", "sent", "properties", "size", "enum", 3),
    "an error is added": put({}, "make", "responses", "429"),
    "an error has a further code": put({}, "problem", "examples", "full"),
    "a header is added": put({}, "made", "headers", "Link"),
    "a header is always there": put(True, "made", "headers", "Location", "required"),
    "a property is added to a response": put(TEXT, "received", "properties", "colour"),
    "a response has fewer values": drop("received", "properties", "size", "enum", 0),
    "a way to log in is added": put({"type": "apiKey"}, "logins", "cookie"),
    "a webhook is added": put({"post": {"responses": {}}}, "document", "webhooks", "thing.lost"),
    "a webhook has a further header": put(X | {"in": "header"}, "webhook", "parameters", 1),
}
UNNOTICED: Final[dict[str, Edit]] = {
    "a description is edited": put("better words", "make", "description"),
    "an example is edited": put(["a"], "received", "properties", "name", "examples"),
    "an operation is deprecated": put(True, "make", "deprecated"),
    "the version is raised": put("1.1", "document", "info", "version"),
    "the login of all is written out": put(CONTRACT["security"], "make", "security"),
    "headers are written in small letters": put(
        {"etag": {"schema": TEXT, "required": True}, "location": {"schema": TEXT}}, "made", "headers"
    ),
    "properties are in another order": put(dict(reversed(THING["properties"].items())), "received", "properties"),
    "a reference is written out": put(THING, "made", "content", "application/json", "schema"),
    "a parameter is kept apart": lambda document: (
        document["components"].update(parameters={"limit": drop("make", "parameters", 1)(document)}),
        put({"$ref": "#/components/parameters/limit"}, "make", "parameters", 1)(document),
    ),
}


@pytest.mark.parametrize("edit", BREAKING.values(), ids=BREAKING)
def test_what_breaks_clients_is_refused(edit: Edit) -> None:
    assert judge("things", CONTRACT, edited(edit)).refused


@pytest.mark.parametrize("edit", ADDITIVE.values(), ids=ADDITIVE)
def test_what_clients_need_not_notice_is_an_addition(edit: Edit) -> None:
    found = changes(CONTRACT, edited(edit))

    assert {change.is_breaking for change in found} == {False}, [str(change) for change in found]


@pytest.mark.parametrize("edit", UNNOTICED.values(), ids=UNNOTICED)
def test_what_nobody_can_notice_is_no_change(edit: Edit) -> None:
    assert changes(CONTRACT, edited(edit)) == []


def test_a_schema_that_holds_itself_is_compared_to_the_end() -> None:
    old = edited(put({"$ref": "#/components/schemas/Part"}, "part", "properties", "part"))
    new = copy.deepcopy(old)
    put("string", "part", "properties", "id", "type")(new)

    assert any(change.is_breaking for change in changes(old, new))


@pytest.mark.parametrize("service", ["command", "query"])
def test_every_part_of_the_published_documents_is_compared(service: str) -> None:
    published = json.loads((OPENAPI / PUBLISHED / f"{service}.json").read_text(encoding="utf-8"))
    marked = copy.deepcopy(published)
    marks: set[str] = set()

    def mark(value: Any, name: str) -> None:
        """Put a member that no rule allows into everything that is no mere map of names."""
        if isinstance(value, list):
            for each in value:
                mark(each, "")
        elif isinstance(value, dict) and name not in {"example", "examples", "mapping", "security"}:
            for member, each in list(value.items()):
                mark(each, "" if name == "properties" else member)
            nodes = {"type", "$ref", "anyOf", "schema", "content", "responses", "propertyName"}
            if name != "properties" and value.keys() & nodes:
                marks.add(f"x-{len(marks)}")
                value[f"x-{len(marks) - 1}"] = 1

    mark(marked, "")
    found = {change.what.split()[0] for change in changes(published, marked) if change.is_breaking}

    assert len(marks) > 500
    assert marks - found == set()


def test_a_new_major_version_may_break() -> None:
    now = edited(BREAKING["a path is removed"]) | {"info": {"version": "2.0"}}

    assert judge("things", CONTRACT, now).refused == ()


REMOVED: Final = edited(BREAKING["an operation is removed"])
ACCEPTED: Final = Accepted("things", "GET /things: operation removed", "nobody ever called it")


def test_a_change_that_is_accepted_for_a_reason_passes_and_no_other() -> None:
    now = copy.deepcopy(REMOVED)
    put(8, "make", "parameters", 1, "schema", "maximum")(now)

    verdict = judge("things", CONTRACT, now, [ACCEPTED])

    assert [str(change) for change in verdict.accepted] == ["GET /things: operation removed"]
    assert verdict.lines()[1:] == ["  breaking  POST /things query:limit: maximum 9 -> 8"]


def test_an_accepted_change_of_another_service_accepts_nothing() -> None:
    other = Accepted("query", ACCEPTED.change, "another service")

    assert judge("things", CONTRACT, REMOVED, [other]).refused


def test_a_change_that_is_accepted_and_not_made_is_an_error() -> None:
    with pytest.raises(AcceptanceError, match="GET /things: operation removed"):
        judge("things", CONTRACT, CONTRACT, [ACCEPTED])


@pytest.mark.parametrize("entry", ['service = "a"\nchange = "b"', 'service = "a"\nchange = "b"\nreason = " "'])
def test_nothing_is_accepted_without_a_reason(entry: str) -> None:
    with pytest.raises(AcceptanceError):
        read_accepted(f"[[change]]\n{entry}")


def test_the_published_contract_moves_only_when_nothing_breaks(tmp_path: Path) -> None:
    (tmp_path / "accepted.toml").write_text("")
    publish({"things": json.dumps(CONTRACT)}, tmp_path)
    grown = edited(ADDITIVE["a path is added"])

    [refused] = publish({"things": json.dumps(REMOVED)}, tmp_path)
    held = json.loads((tmp_path / "published" / "things.json").read_text())
    [taken] = publish({"things": json.dumps(grown)}, tmp_path)
    [after] = judge_all({"things": grown}, tmp_path)

    assert refused.refused
    assert held == CONTRACT
    assert (taken.refused, len(taken.additive), after.additive) == ((), 1, ())


def test_publishing_empties_the_list_of_accepted_changes(tmp_path: Path) -> None:
    (tmp_path / "accepted.toml").write_text("")
    publish({"things": json.dumps(CONTRACT)}, tmp_path)
    (tmp_path / "accepted.toml").write_text(
        '[[change]]\nservice = "things"\nchange = "GET /things: operation removed"\nreason = "nobody called it"\n'
    )

    [verdict] = publish({"things": json.dumps(REMOVED)}, tmp_path)

    assert (verdict.refused, len(verdict.accepted)) == ((), 1)
    assert read_accepted((tmp_path / "accepted.toml").read_text()) == []
