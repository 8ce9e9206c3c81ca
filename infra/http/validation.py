"""What pydantic and FastAPI find wrong with a request, as one problem with stable codes.

A type may bring a code of its own: `refused_as("status_invalid", "...")` in its annotation, or a validator that raises
`coded(...)`. Everything else about a value of a body is `required`, `unknown_field` or `wrong_type`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard, get_args

from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError, core_schema

from infra.http.problems import MAX_ERRORS, NOT_FOUND, VALIDATION_FAILED, FieldError, Problem, ProblemType

BODY_CODES: Final[Mapping[str, str]] = {
    "required": "The field is missing.",
    "unknown_field": "The object has a field that this request does not take; the pointer names the object.",
    "wrong_type": "The value is of another JSON type than the field takes.",
}
"""Codes inside the `errors` of a `validation_failed` that any body may get."""

Kind = type[BaseModel]
_PYDANTICS_OWN: Final = frozenset(get_args(core_schema.ErrorType))
_CHOICES: Final = frozenset({"literal_error", "enum"})
_QUOTED: Final = re.compile("'([^']*)'")


@dataclass(frozen=True, slots=True)
class MissingAs:
    """In the annotation of a required header: the problem that a request without it is refused with."""

    kind: ProblemType


def coded(code: str, detail: str) -> PydanticCustomError:
    """Return the error to raise in a validator for a value that is refused with a code of its own."""
    return PydanticCustomError(code, detail)


def refused_as(code: str, detail: str) -> WrapValidator:
    """Return the mark, for an annotation, of a value that is refused with this code when it does not fit.

    Where only a few values fit, the error lists them; otherwise `detail` says what fits.
    """

    def check(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            fitting = _QUOTED.findall(first["ctx"]["expected"]) if first["type"] in _CHOICES else ()
            raise coded(code, f"One of: {', '.join(fitting)}." if fitting else detail) from None

    return WrapValidator(check)


def validation_problem(error: RequestValidationError, route: APIRoute) -> Problem:
    """Return the refusal of a request that does not fit the signature of its route, with everything that is wrong."""
    found = error.errors()
    for item in found:
        where, *rest = item["loc"]
        if where == "path":  # an id that is not of the form of ours is the id of nothing
            return Problem(NOT_FOUND)
        if where == "header" and item["type"] == "missing" and (kind := _missing(route, rest[0])):
            return Problem(kind)
    model = None if route.body_field is None else route.body_field.field_info.annotation
    body = model if is_model(model) else None
    errors = dict.fromkeys(_request_error(item, body) for item in found)  # one per object, of unknown fields
    return Problem(VALIDATION_FAILED, errors=tuple(errors)[:MAX_ERRORS])


def with_dependencies(dependant: Dependant) -> Iterator[Dependant]:
    """Yield what a route takes, and what its dependencies take."""
    yield dependant
    for each in dependant.dependencies:
        yield from with_dependencies(each)


def _missing(route: APIRoute, header: str) -> ProblemType | None:
    fields = (field for each in with_dependencies(route.dependant) for field in each.header_params)
    marks = (mark for field in fields if field.alias == header for mark in field.field_info.metadata)
    return next((mark.kind for mark in marks if isinstance(mark, MissingAs)), None)


def _request_error(item: Mapping[str, Any], body: Kind | None) -> FieldError:
    where, *path = item["loc"]
    return value_error(item, path if where == "body" else item["loc"], body)


def value_error(item: Mapping[str, Any], place: Sequence[int | str], model: Kind | None) -> FieldError:
    """Return one item of pydantic's `errors()` as ours; `place` is the path of the value in the request."""
    match item["type"]:
        case code if code not in _PYDANTICS_OWN:
            return FieldError(pointer(place), code, item["msg"])
        case "missing":
            return FieldError(pointer(place), "required", BODY_CODES["required"])
        case "extra_forbidden":
            return unknown_field(pointer(place[:-1]), fields_at(model, place[:-1]) if model else ())
    return FieldError(pointer(place), "wrong_type", BODY_CODES["wrong_type"])


def unknown_field(pointer: str, known: Iterable[str]) -> FieldError:
    """Return the error of an object with a field it does not take; the detail names those it takes."""
    detail = f"{BODY_CODES['unknown_field']} The object takes: {', '.join(known) or 'no field'}."
    return FieldError(pointer, "unknown_field", detail)


def pointer(path: Iterable[int | str]) -> str:
    """Return the JSON pointer (RFC 6901) of a path."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def is_model(annotation: Any) -> TypeGuard[Kind]:
    """Return whether an annotation is a pydantic model."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def fields_at(body: Kind, path: Sequence[int | str]) -> list[str]:
    """Return the fields of the object at a path of pydantic's (`loc`): names, indexes of lists, tags of unions."""
    kinds = [body]
    for step in path:
        if isinstance(step, str):
            kinds = [each for kind in kinds for each in _kinds_at(kind, step)]
    return [name for kind in kinds for name in kind.model_fields]


def _kinds_at(kind: Kind, step: str) -> Iterator[Kind]:
    if step in kind.model_fields:
        yield from _kinds_in(kind.model_fields[step].annotation)
    elif any(step in get_args(field.annotation) for field in kind.model_fields.values()):
        yield kind  # the tag, a literal of it, that chose this model


def _kinds_in(annotation: Any) -> Iterator[Kind]:
    if is_model(annotation):
        yield annotation
    for inner in get_args(annotation):
        yield from _kinds_in(inner)
