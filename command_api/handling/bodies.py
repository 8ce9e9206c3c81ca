"""What every body has in common: strict and closed, with a JSON pointer to each broken value.

Shapes are checked here; what a value may be is the domain's rule. Server-set fields (id, status, totals) are not in the
models and so are refused.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.config import JsonDict

from command_api.errors import invalid_command, invalid_values
from command_api.handling.field_codes import FIELD_CODES
from domain.order.commands import OrderCommand
from domain.order.decisions.values import check_values
from domain.order.errors import InvalidCommandError
from domain.order.ids import OrderId
from infra import clock
from infra.http.json_body import Json
from infra.http.problems import VALIDATION_FAILED, FieldError, Problem, pointer
from infra.http.validation import MAX_READ, Path, RequestBody, body_errors, value_error

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


NO_ORDER: Final = OrderId(UUID(int=0))
"""The order of a command whose values are checked before there is one."""

B = TypeVar("B", bound=RequestBody)


def parse_body(model: type[B], value: Json) -> B:
    """Return the body of one kind.

    Raises:
        Problem: as `invalid_body`.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid_body(model, error, value) from None


def invalid_body(model: type[BaseModel], error: ValidationError, value: Json) -> Problem:
    """Return the 422 with all that is wrong with a body; a pointer holds names of the client's if they are plain."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    errors = body_errors(model, value, found[:MAX_READ], partial(_field_error, model), _place)
    return Problem(VALIDATION_FAILED, errors=errors, more_errors=len(found[MAX_READ:]))


def with_example(example: dict[str, Any]) -> ConfigDict:
    """Return the `model_config` that documents a body with this example instead of one made of its members."""
    return ConfigDict(json_schema_extra={"examples": [example]})


def described(least: int, most: int) -> JsonDict:
    """Describe the length of a text; the domain checks it."""
    return {"minLength": least, "maxLength": most}


def field_error(place: str, code: str) -> FieldError:
    """Return the error of a value by its JSON pointer and code."""
    return FieldError(place, code, FIELD_CODES[code])


def value_errors_of(make: Callable[[datetime], OrderCommand]) -> Sequence[FieldError]:
    """Return what is wrong with the values of a command, whatever its order is."""
    try:
        check_values(make(clock.now()))
    except Problem as problem:
        return problem.errors
    except InvalidCommandError as error:
        return invalid_command(error).errors
    return ()


def also_broken(found: Sequence[FieldError], command: OrderCommand) -> Problem:
    """Return the refusal of values that are in no command; the command has all the others."""
    return invalid_values([*found, *value_errors_of(lambda _now: command)])


def _place(path: Path) -> Path:
    """Return the place of a value in the body: the tag that chose the model of a change is none."""
    if len(path) > _AT_TAG and path[0] == "changes":
        return path[:_AT_TAG] + path[_AT_TAG + 1 :]
    return path


def _field_error(model: type[BaseModel], item: Mapping[str, Any]) -> FieldError:
    place = _place(item["loc"])
    match item["type"]:
        case "too_short" | "too_long":
            return field_error(pointer(place), _COUNT_CODES[place[-1], item["type"]])
        case "union_tag_not_found":
            return field_error(f"{pointer(place)}/op", "required")
        case "union_tag_invalid":
            return field_error(f"{pointer(place)}/op", "op_unknown")
        case "string_type" if place[-1] in _AMOUNTS:
            return field_error(pointer(place), "money_must_be_string")
    return value_error(item, place, model)
