"""The pages docs/events.md and docs/states.md, generated from the code."""

import json
from collections.abc import Mapping

from domain.catalogue.examples import example_events
from domain.catalogue.schemas import JsonSchema, data_shape, definitions, json_schemas, members
from domain.order.status import Status
from domain.order.transitions import MATRIX, Verb, allowed_transitions

_EVENTS_HEAD = """\
# Events

Generated from the code by `make docs`; do not edit.

Each event is one JSON document: the value of the Kafka record and the stored payload, byte for byte. Every member is
always present, and null where it does not apply. A change of shape is a new `schema_version`; every old version stays
readable, and its schema stays in docs/schemas beside the current one, which is shown here. Minor units are the smallest
units of the currency by ISO 4217: cents of EUR, yen of JPY, fils of KWD.
"""

_STATES_HEAD = """\
# States

Generated from the code (`domain/order/transitions.py`) by `make docs`; do not edit.

Nobody sets a status: it is computed from the order's ledger. A cell holds the status that a verb leads to, or the code
of the 409 that refuses it. Where there are several statuses the amounts decide: the first one when nothing is left.
Only the timer asks for `expire`. Details and notes can be changed in every status, unless `field_locked` refuses it.

| verb that the status allows but no amount is left for | code of the 409 |
|---|---|
| refund, when all that was captured is refunded | `fully_refunded` |
| settle, when all that was captured is settled | `nothing_to_settle` |

`PATCH /api/v1/orders/{id}/status` runs the verb that leads to the requested status: authorize, capture of all that is
left, cancel, or settlement of all that is left without a fee. Its `reason` is kept on the event of that verb and shown
in the timeline. The status that the order already has changes nothing and returns 200, and no reason is kept, since
there is no event; any other is refused with `invalid_transition`. `allowed_transitions` of an order lists the statuses
that it can be set to.

Due times are exact. From `expires_at` of a pending order and `auth_expires_at` of an authorized one on, requests are
refused with the `current_status` that the timer's event will bring, even if the timer has not written it yet. The order
itself shows the change once it is written.
"""


def events_markdown() -> str:
    """Return the page docs/events.md: the envelope, the shapes inside, then each event with an example."""
    schemas = json_schemas()
    first = next(iter(schemas.values()))
    inside = {
        name: shape
        for schema in schemas.values()
        for name, shape in definitions(schema).items()
        if name != data_shape(schema)
    }
    parts = [_EVENTS_HEAD, "## Envelope\n", "What every event carries.\n", _table(members(first))]
    parts.append("## Shapes inside\n")
    for name, shape in sorted(inside.items()):
        what = _table(members(shape)) if members(shape) else f"One of {_kind(shape)}.\n"
        parts += [f"### {name}\n", f"{shape['description']}\n", what]
    for (event_type, schema_version), example in zip(schemas, example_events(), strict=True):
        schema = schemas[event_type, schema_version]
        parts += [
            f"## {event_type}\n",
            f"Schema version {schema_version}. {schema['description']}\n",
            _table(members(definitions(schema)[data_shape(schema)])),
            f"```json\n{json.dumps(json.loads(example), indent=2)}\n```\n",
        ]
    return "\n".join(parts)


def states_markdown() -> str:
    """Return the page docs/states.md: the matrix and its diagram."""
    rows = [f"| **{status}** | " + " | ".join(_cell(status, verb) for verb in Verb) + " |" for status in Status]
    arrows = [
        f"    {status} --> {target}: {verb}"
        for status, row in MATRIX.items()
        for verb, cell in row.items()
        if isinstance(cell, tuple)
        for target in cell
    ]
    ends = [f"    {status} --> [*]" for status in MATRIX if not allowed_transitions(status)]
    return "\n".join(
        [
            _STATES_HEAD,
            "| status | " + " | ".join(f"`{verb}`" for verb in Verb) + " |",
            "|---" * (len(Verb) + 1) + "|",
            *rows,
            "\n```mermaid\nstateDiagram-v2",
            f"    [*] --> {Status.PENDING}: create",
            *arrows,
            *ends,
            "```\n",
        ]
    )


def _cell(status: Status, verb: Verb) -> str:
    cell = MATRIX[status][verb]
    if cell is None:
        return "-"
    return f"-> {' or '.join(cell)}" if isinstance(cell, tuple) else f"`{cell.code}`"


def _table(properties: Mapping[str, JsonSchema]) -> str:
    rows = [f"| `{name}` | {_kind(member)} | {member['description']} |" for name, member in properties.items()]
    return "\n".join(["| member | type | meaning |", "|---|---|---|", *rows, ""])


def _kind(schema: JsonSchema) -> str:
    """Return in a few words what a member may be."""
    options = schema.get("anyOf", schema.get("oneOf"))
    literals = [schema["const"]] if "const" in schema else schema.get("enum")
    items = schema.get("items")
    if "$ref" in schema:
        kind = str(schema["$ref"]).rpartition("/")[2]
    elif isinstance(options, list):
        kind = " or ".join(_kind(option) for option in options)
    elif isinstance(literals, list):
        kind = " or ".join(f"`{json.dumps(literal)}`" for literal in literals)
    elif isinstance(items, dict):
        kind = f"{schema['type']} of {_kind(items)}"
    elif "format" in schema:
        kind = f"{schema['type']} ({schema['format']})"
    else:
        kind = f"{schema['type']}{_bounds(schema)}"
    return kind


def _bounds(schema: JsonSchema) -> str:
    """Return the limits of a number, or of the length of a text."""
    least = schema.get("minimum", schema.get("minLength"))
    above, most = schema.get("exclusiveMinimum"), schema.get("maximum", schema.get("maxLength"))
    if above is not None:
        return f", > {above}" + (f" and <= {most}" if most is not None else "")
    if least is not None and most is not None:
        return f", {least} to {most}"
    if most is not None:
        return f", at most {most}"
    return f", >= {least}" if least is not None else ""
