"""The gate tells breaking changes of our OpenAPI documents from additions; each is planted in a small contract."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from docs.contract.document import changes
from docs.contract.gate import AcceptanceError, Accepted, judge, judge_all, publish, read_accepted

Json = dict[str, Any]

THING: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "size"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 10, "pattern": "^[a-z]+$"},
        "size": {"type": "string", "enum": ["s", "m", "l"]},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "parts": {"type": "array", "maxItems": 5, "items": {"$ref": "#/components/schemas/Part"}},
    },
}
PROBLEM: Final[Json] = {"application/problem+json": {"schema": {}, "examples": {"taken": {}, "gone": {}}}}
CONTRACT: Final[Json] = {
    "info": {"version": "1"},
    "security": [{"bearer": []}, {"x_api_key": []}],
    "paths": {
        "/things": {
            "post": {
                "operationId": "make_thing",
                "tags": ["things", "made"],
                "x-required-scopes": ["things:write"],
                "parameters": [
                    {"name": "Key", "in": "header", "required": True, "schema": {"type": "string"}},
                    {"name": "limit", "in": "query", "required": False, "schema": {"type": "integer", "maximum": 9}},
                ],
                "requestBody": {
                    "required": False,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ThingBody"}}},
                },
                "responses": {
                    "201": {
                        "headers": {
                            "ETag": {"schema": {"type": "string"}, "required": True},
                            "Location": {"schema": {"type": "string"}},
                        },
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                    },
                    "409": {"content": PROBLEM},
                },
            },
            "get": {"operationId": "list_things", "security": [], "responses": {"200": {}}},
        },
    },
    "webhooks": {
        "thing.made": {
            "post": {
                "operationId": "webhook_thing_made",
                "parameters": [{"name": "webhook-id", "in": "header", "required": True, "schema": {"type": "string"}}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                },
                "responses": {"2XX": {}},
            }
        }
    },
    "components": {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "description": "a key"},
            "x_api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        },
        "schemas": {
            "Thing": THING,
            "ThingBody": copy.deepcopy(THING),
            "Part": {"type": "object", "properties": {"id": {"type": "integer"}}},
        },
    },
}
Plant = Callable[[Json], object]


def make(document: Json) -> Json:
    found: Json = document["paths"]["/things"]["post"]
    return found


def sent(document: Json) -> Json:
    found: Json = document["components"]["schemas"]["ThingBody"]
    return found


def received(document: Json) -> Json:
    found: Json = document["components"]["schemas"]["Thing"]
    return found


def listing(document: Json) -> Json:
    found: Json = document["paths"]["/things"]["get"]
    return found


def made(document: Json) -> Json:
    found: Json = make(document)["responses"]["201"]
    return found


def webhook(document: Json) -> Json:
    found: Json = document["webhooks"]["thing.made"]["post"]
    return found


def logins(document: Json) -> Json:
    found: Json = document["components"]["securitySchemes"]
    return found


def problem_of(document: Json) -> Json:
    found: Json = make(document)["responses"]["409"]["content"]["application/problem+json"]
    return found


def add(schema: Json, name: str, *, is_required: bool = False) -> None:
    schema["properties"][name] = {"type": "string"}
    if is_required:
        schema["required"].append(name)


BREAKING: Final[dict[str, Plant]] = {
    "a path is removed": lambda d: d["paths"].pop("/things"),
    "an operation is removed": lambda d: d["paths"]["/things"].pop("get"),
    "an operation has another id": lambda d: make(d).update(operationId="create_thing"),
    "a scope no longer opens a route": lambda d: make(d).update({"x-required-scopes": ["things:make"]}),
    "a parameter is removed": lambda d: make(d)["parameters"].pop(1),
    "a required parameter is added": lambda d: make(d)["parameters"].append(
        {"name": "x", "in": "query", "required": True, "schema": {"type": "string"}}
    ),
    "a parameter becomes required": lambda d: make(d)["parameters"][1].update(required=True),
    "a parameter takes less": lambda d: make(d)["parameters"][1]["schema"].update(maximum=8),
    "a body becomes required": lambda d: make(d)["requestBody"].update(required=True),
    "a body is no longer taken": lambda d: make(d).pop("requestBody"),
    "a content type is no longer taken": lambda d: make(d)["requestBody"].update(content={"text/plain": {}}),
    "a required property is added to a request": lambda d: add(sent(d), "colour", is_required=True),
    "a property of a request becomes required": lambda d: sent(d)["required"].append("note"),
    "a property of a request is removed": lambda d: sent(d)["properties"].pop("note"),
    "a request takes fewer values": lambda d: sent(d)["properties"]["size"].update(enum=["s", "m"]),
    "a request takes listed values only": lambda d: sent(d)["properties"]["name"].update(enum=["a"]),
    "a request takes another type": lambda d: sent(d)["properties"]["size"].update(type="integer"),
    "a request no longer takes null": lambda d: sent(d)["properties"].update(note={"type": "string"}),
    "a text sent must be longer": lambda d: sent(d)["properties"]["name"].update(minLength=2),
    "a text sent must be shorter": lambda d: sent(d)["properties"]["name"].update(maxLength=9),
    "a list sent gets a bound": lambda d: sent(d)["properties"]["parts"].update(minItems=1),
    "a pattern of a request is edited": lambda d: sent(d)["properties"]["name"].update(pattern="^[a-z ]+$"),
    "a format is asked for": lambda d: sent(d)["properties"]["name"].update(format="uuid"),
    "unknown properties are refused now": lambda d: (
        d["components"]["schemas"]["Part"].update(additionalProperties=False)
    ),
    "a response is removed": lambda d: make(d)["responses"].pop("409"),
    "a success has another status": lambda d: make(d)["responses"].update({"202": {}}),
    "a header of an answer is removed": lambda d: make(d)["responses"]["201"]["headers"].pop("ETag"),
    "an answer is of another content type": lambda d: make(d)["responses"]["201"].update(content={"text/csv": {}}),
    "a property of an answer is removed": lambda d: received(d)["properties"].pop("note"),
    "a property of an answer becomes optional": lambda d: received(d)["required"].remove("size"),
    "an answer has further values": lambda d: received(d)["properties"]["size"].update(enum=["s", "m", "l", "xl"]),
    "an answer has any value": lambda d: received(d)["properties"]["size"].pop("enum"),
    "an answer may be null": lambda d: received(d)["properties"]["name"].update(type=["string", "null"]),
    "a text received may be longer": lambda d: received(d)["properties"]["name"].update(maxLength=11),
    "a text received loses its form": lambda d: received(d)["properties"]["name"].pop("pattern"),
    "what is nested in an answer changes its type": lambda d: (
        d["components"]["schemas"]["Part"]["properties"].update(id={"type": "string"})
    ),
    "an error loses its code": lambda d: make(d)["responses"]["409"].update(
        content={"application/problem+json": {"schema": {}, "examples": {"taken": {}}}}
    ),
    "a header of an answer becomes optional": lambda d: made(d)["headers"]["ETag"].update(required=False),
    "a header of an answer has another type": lambda d: made(d)["headers"]["ETag"].update(schema={"type": "integer"}),
    "a header of an answer has any type": lambda d: made(d)["headers"]["ETag"].pop("schema"),
    "a header of an answer is written otherwise": lambda d: made(d)["headers"]["ETag"].update(explode=True),
    "an answer has links": lambda d: made(d).update(links={"next": {}}),
    "a parameter is written otherwise": lambda d: make(d)["parameters"][1].update(style="pipeDelimited"),
    "a parameter of a query is spelled in capitals": lambda d: make(d)["parameters"][1].update(name="LIMIT"),
    "a body is encoded otherwise": lambda d: (
        make(d)["requestBody"]["content"]["application/json"].update(encoding={"name": {}})
    ),
    "a parameter of the whole path is required": lambda d: d["paths"]["/things"].update(
        parameters=[{"name": "x", "in": "query", "required": True, "schema": {"type": "string"}}]
    ),
    "an operation is at another server": lambda d: make(d).update(servers=[{"url": "https://other.example"}]),
    "a path is at another server": lambda d: d["paths"]["/things"].update(servers=[{"url": "https://other.example"}]),
    "everything is at another server": lambda d: d.update(servers=[{"url": "https://other.example"}]),
    "an operation calls back": lambda d: make(d).update(callbacks={"done": {}}),
    "an operation is of another group": lambda d: make(d).update(tags=["things"]),
    "an open route asks for a scope": lambda d: listing(d).update({"x-required-scopes": ["things:read"]}),
    "an open route asks for a login": lambda d: listing(d).update(security=[{"bearer": []}]),
    "an open route asks for the login of all": lambda d: listing(d).pop("security"),
    "a login no longer opens a route": lambda d: make(d).update(security=[{"bearer": []}]),
    "a login no longer opens any route": lambda d: d.update(security=[{"bearer": []}]),
    "two logins are needed at once": lambda d: make(d).update(security=[{"bearer": [], "x_api_key": []}]),
    "a way to log in is removed": lambda d: logins(d).pop("x_api_key"),
    "a way to log in is another": lambda d: logins(d)["x_api_key"].update(name="X-Key"),
    "the document has another dialect": lambda d: d.update(jsonSchemaDialect="https://other.example"),
    "a licence is named": lambda d: d["info"].update(license={"name": "other"}),
    "components of a kind without a rule": lambda d: d["components"].update(pathItems={"thing": {}}),
    "a webhook may come without a body": lambda d: webhook(d)["requestBody"].update(required=False),
    "a webhook is signed otherwise": lambda d: webhook(d).update(security=[{"bearer": []}]),
    "what a webhook is answered must be more": lambda d: webhook(d)["responses"].update(
        {"2XX": {"headers": {"X-Seen": {"required": True}}}}
    ),
    "a webhook is removed": lambda d: d["webhooks"].pop("thing.made"),
    "a header of a webhook is removed": lambda d: d["webhooks"]["thing.made"]["post"]["parameters"].clear(),
}  # fmt: skip
ADDITIVE: Final[dict[str, Plant]] = {
    "a path is added": lambda d: d["paths"].update({"/others": {"get": {"responses": {}}}}),
    "an operation is deprecated": lambda d: make(d).update(deprecated=True),
    "another scope opens a route": lambda d: make(d)["x-required-scopes"].append("things:make"),
    "an optional parameter is added": lambda d: make(d)["parameters"].append(
        {"name": "x", "in": "query", "required": False, "schema": {"type": "string"}}
    ),
    "a parameter becomes optional": lambda d: make(d)["parameters"][0].update(required=False),
    "a parameter takes more": lambda d: make(d)["parameters"][1]["schema"].update(maximum=10),
    "an optional property is added to a request": lambda d: add(sent(d), "colour"),
    "a property of a request becomes optional": lambda d: sent(d)["required"].remove("size"),
    "a request takes further values": lambda d: sent(d)["properties"]["size"].update(enum=["s", "m", "l", "xl"]),
    "a bound of a request is loosened": lambda d: sent(d)["properties"]["name"].update(maxLength=11),
    "a pattern of a request is dropped": lambda d: sent(d)["properties"]["name"].pop("pattern"),
    "an error is added": lambda d: make(d)["responses"].update({"429": {}}),
    "an error has a further code": lambda d: problem_of(d)["examples"].update(full={}),
    "a header of an answer is added": lambda d: make(d)["responses"]["201"]["headers"].update(Link={}),
    "a property is added to an answer": lambda d: add(received(d), "colour", is_required=True),
    "an answer has fewer values": lambda d: received(d)["properties"]["size"].update(enum=["s", "m"]),
    "a text received is bounded more": lambda d: received(d)["properties"]["name"].update(maxLength=9),
    "a header of an answer is always there": lambda d: made(d)["headers"]["Location"].update(required=True),
    "a header of an answer is described more closely": lambda d: (
        made(d)["headers"]["Location"]["schema"].update(maxLength=99)
    ),
    "a further login opens a route": lambda d: make(d).update(security=[*d["security"], {"cookie": []}]),
    "a route is opened to all": lambda d: make(d).update(security=[]),
    "a route asks for no scope any more": lambda d: make(d).pop("x-required-scopes"),
    "a way to log in is added": lambda d: logins(d).update(cookie={"type": "apiKey"}),
    "a webhook has a further header": lambda d: webhook(d)["parameters"].append(
        {"name": "x", "in": "header", "required": True, "schema": {"type": "string"}}
    ),
    "a webhook is added": lambda d: d["webhooks"].update({"thing.lost": {"post": {"responses": {}}}}),
}  # fmt: skip
UNNOTICED: Final[dict[str, Plant]] = {
    "a description is edited": lambda d: make(d).update(description="better words"),
    "an example is edited": lambda d: received(d)["properties"]["name"].update(examples=["a"]),
    "titles and versions are edited": lambda d: d["info"].update(title="Things", version="1.1"),
    "tags are in another order": lambda d: make(d)["tags"].reverse(),
    "operations are in another order": lambda d: d["paths"].update({"/things": d["paths"].pop("/things")}),
    "a login is described": lambda d: logins(d)["bearer"].update(description="better words"),
    "headers are written in small letters": lambda d: made(d).update(
        headers={name.lower(): header for name, header in made(d)["headers"].items()}
    ),
    "the login of all is said again": lambda d: make(d).update(security=d["security"]),
    "parameters are kept apart": lambda d: (
        d["components"].update(parameters={"limit": make(d)["parameters"].pop()}),
        make(d)["parameters"].append({"$ref": "#/components/parameters/limit"}),
    ),
    "properties are in another order": lambda d: received(d).update(
        properties=dict(reversed(received(d)["properties"].items()))
    ),
}


def planted(plant: Plant) -> Json:
    document = copy.deepcopy(CONTRACT)
    plant(document)
    return document


@pytest.mark.parametrize("plant", BREAKING.values(), ids=BREAKING)
def test_what_breaks_clients_is_called_breaking(plant: Plant) -> None:
    verdict = judge("things", CONTRACT, planted(plant))

    assert verdict.refused


@pytest.mark.parametrize("plant", ADDITIVE.values(), ids=ADDITIVE)
def test_what_clients_need_not_notice_is_called_additive(plant: Plant) -> None:
    found = changes(CONTRACT, planted(plant))

    assert found
    assert not any(change.is_breaking for change in found), [str(change) for change in found]


@pytest.mark.parametrize("plant", UNNOTICED.values(), ids=UNNOTICED)
def test_what_nobody_can_notice_is_no_change(plant: Plant) -> None:
    assert changes(CONTRACT, planted(plant)) == []


def test_a_schema_that_holds_itself_is_compared_to_the_end() -> None:
    def nest(document: Json) -> None:
        document["components"]["schemas"]["Part"]["properties"]["part"] = {"$ref": "#/components/schemas/Part"}

    old, new = planted(nest), planted(nest)
    new["components"]["schemas"]["Part"]["properties"]["id"]["type"] = "string"

    assert any(change.is_breaking for change in changes(old, new))


def test_a_new_major_version_may_break() -> None:
    now = planted(BREAKING["a path is removed"]) | {"info": {"version": "2.0"}}

    assert judge("things", CONTRACT, now).refused == ()


ACCEPTED: Final = Accepted("things", "GET /things: operation removed", "nobody ever called it")


def test_a_change_that_is_named_with_its_reason_passes_and_no_other() -> None:
    removed = BREAKING["an operation is removed"]
    now = planted(lambda d: (removed(d), make(d).update(operationId="x")))

    verdict = judge("things", CONTRACT, now, [ACCEPTED])

    assert [str(change) for change in verdict.accepted] == ["GET /things: operation removed"]
    assert [str(change) for change in verdict.refused] == ["POST /things: operationId make_thing -> x"]
    assert verdict.lines()[1] == "  breaking  POST /things: operationId make_thing -> x"


def test_an_accepted_change_of_another_service_accepts_nothing() -> None:
    other = Accepted("query", ACCEPTED.change, "another service")

    assert judge("things", CONTRACT, planted(BREAKING["an operation is removed"]), [other]).refused


def test_a_change_that_was_accepted_but_not_made_is_told() -> None:
    with pytest.raises(AcceptanceError, match="GET /things: operation removed"):
        judge("things", CONTRACT, CONTRACT, [ACCEPTED])


@pytest.mark.parametrize("entry", ['service = "a"\nchange = "b"', 'service = "a"\nchange = "b"\nreason = " "'])
def test_nothing_is_accepted_without_a_reason(entry: str) -> None:
    with pytest.raises(AcceptanceError):
        read_accepted(f"[[change]]\n{entry}")


def test_the_published_contract_moves_only_when_nothing_breaks(tmp_path: Path) -> None:
    (tmp_path / "accepted.toml").write_text("")
    publish({"things": json.dumps(CONTRACT)}, tmp_path)
    broken = planted(BREAKING["an operation is removed"])
    grown = planted(ADDITIVE["a path is added"])

    [refused] = publish({"things": json.dumps(broken)}, tmp_path)
    held = json.loads((tmp_path / "published" / "things.json").read_text())
    [taken] = publish({"things": json.dumps(grown)}, tmp_path)
    [after] = judge_all({"things": grown}, tmp_path)

    assert refused.refused
    assert held == CONTRACT
    assert (taken.refused, len(taken.additive), after.additive) == ((), 1, ())


def test_publishing_forgets_what_was_accepted(tmp_path: Path) -> None:
    (tmp_path / "accepted.toml").write_text("")
    publish({"things": json.dumps(CONTRACT)}, tmp_path)
    (tmp_path / "accepted.toml").write_text(
        '[[change]]\nservice = "things"\nchange = "GET /things: operation removed"\nreason = "nobody called it"\n'
    )

    [verdict] = publish({"things": json.dumps(planted(BREAKING["an operation is removed"]))}, tmp_path)

    assert (verdict.refused, len(verdict.accepted)) == ((), 1)
    assert read_accepted((tmp_path / "accepted.toml").read_text()) == []
