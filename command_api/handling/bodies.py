"""What every body has in common: strict and closed, with a JSON pointer to each broken value.

Shapes are checked here; what a value may be is the domain's rule. Server-set fields (id, status, totals) are not in the
models and so are refused.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.config import JsonDict
from pydantic_core import ErrorDetails

from command_api.errors import invalid_values
from command_api.handling.field_codes import FIELD_CODES
from infra.http.json_body import Json
from infra.http.problems import MAX_ERRORS, FieldError, Problem
from infra.http.validation import fields_at, pointer, unknown_field, value_error

AMOUNT_PATTERN: Final = r"^(0|[1-9][0-9]{0,15})(\.[0-9]{1,4})?$"
_AMOUNTS: Final = frozenset({"unit_price", "amount", "gross", "fee", "net"})
_AT_TAG: Final = 2
_COUNT_CODES: Final[Mapping[tuple[int | str, str], str]] = {
    ("lines", "too_short"): "lines_required",
    ("lines", "too_long"): "too_many_lines",
    ("changes", "too_short"): "changes_required",
    ("changes", "too_long"): "too_many_changes",
    ("orders", "too_short"): "orders_required",
    ("orders", "too_long"): "too_many_orders",
}


class RequestBody(BaseModel):
    """A closed, strictly typed request body."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


B = TypeVar("B", bound=RequestBody)


def parse_body(model: type[B], value: Json) -> B:
    """Return the body of one kind.

    Raises:
        Problem: as `invalid_body`.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid_body(model, error) from None


def invalid_body(model: type[BaseModel], error: ValidationError) -> Problem:
    """Return the 422 with at most 20 field errors; a pointer holds our field names and places, never a client's key."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    # An object with several unknown fields is named once.
    return invalid_values(dict.fromkeys(_field_error(model, item) for item in found[:MAX_ERRORS]))


def with_example(example: dict[str, Any]) -> ConfigDict:
    """Return the `model_config` that documents a body with this example instead of one made of its members."""
    return ConfigDict(json_schema_extra={"examples": [example]})


def described(least: int, most: int) -> JsonDict:
    """Describe the length of a text; the domain checks it."""
    return {"minLength": least, "maxLength": most}


def field_error(place: str, code: str) -> FieldError:
    """Return the error of a value by its JSON pointer and code."""
    return FieldError(place, code, FIELD_CODES[code])


def _field_error(model: type[BaseModel], item: ErrorDetails) -> FieldError:
    path = item["loc"]
    if len(path) > _AT_TAG and path[0] == "changes":
        path = path[:_AT_TAG] + path[_AT_TAG + 1 :]  # the tag that chose the model is no place in the body
    match item["type"]:
        case "extra_forbidden":
            return unknown_field(pointer(path[:-1]), fields_at(model, item["loc"][:-1]))
        case "too_short" | "too_long":
            return field_error(pointer(path), _COUNT_CODES[path[-1], item["type"]])
        case "union_tag_not_found":
            return field_error(f"{pointer(path)}/op", "required")
        case "union_tag_invalid":
            return field_error(f"{pointer(path)}/op", "op_unknown")
        case "string_type" if path[-1] in _AMOUNTS:
            return field_error(pointer(path), "money_must_be_string")
    return value_error(item, path[:1] if path[:1] == ("metadata",) else path, model)
