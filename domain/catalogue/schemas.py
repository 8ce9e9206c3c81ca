"""The JSON Schema (2020-12) of every event document, closed, one per (type, schema version).

A consumer that validates events notices at once when one differs from this catalogue.
"""

from collections.abc import Iterator

from domain.catalogue.meanings import MEANINGS
from domain.catalogue.older import OLDER
from domain.codec import CURRENT, EventVersion

JsonSchema = dict[str, object]


def json_schemas() -> dict[tuple[str, int], JsonSchema]:
    """Return the closed schema of every event document by (type, schema version), in the order of an order's life."""
    return {
        (event_type, current.schema_version): _json_schema(event_type, current)
        for event_type, current in CURRENT.items()
    }


def older_json_schemas() -> dict[tuple[str, int], JsonSchema]:
    """Return the closed schemas of versions that are not written any more but are still in the log and on the topic."""
    return {
        (event_type, version.schema_version): _json_schema(event_type, version)
        for event_type, versions in OLDER.items()
        for version in versions
    }


def schema_uri(event_type: str, version: int) -> str:
    """Return the `$id` of a schema, which a record on the topic names in its header `ce_dataschema`.

    A URN, because CloudEvents asks for an absolute URI and the schema is the same wherever the services run. Its last
    part is the name of the file in docs/schemas.
    """
    return f"urn:harbor-orders:schema:{event_type}.v{version}"


def _json_schema(event_type: str, version: EventVersion) -> JsonSchema:
    schema: JsonSchema = version.document.model_json_schema()
    for shape in shapes(schema):
        for name, member in members(shape).items():
            member.pop("title", None)  # it only repeats the name
            member["description"] = MEANINGS[name]
    data = definitions(schema)[data_shape(schema)]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": schema_uri(event_type, version.schema_version),
        **schema,
        "title": f"{event_type} v{version.schema_version}",
        "description": data["description"],
    }


def definitions(schema: JsonSchema) -> dict[str, JsonSchema]:
    """Return the named shapes inside a document's schema."""
    found = schema.get("$defs")
    return found if isinstance(found, dict) else {}


def members(shape: JsonSchema) -> dict[str, JsonSchema]:
    """Return the members of an object's schema; empty for another shape."""
    found = shape.get("properties")
    return found if isinstance(found, dict) else {}


def shapes(schema: JsonSchema) -> Iterator[JsonSchema]:
    """Yield the document's own schema and then those inside it."""
    yield schema
    yield from definitions(schema).values()


def data_shape(schema: JsonSchema) -> str:
    """Return the name of the shape that the `data` member has."""
    return str(members(schema)["data"]["$ref"]).rpartition("/")[2]
