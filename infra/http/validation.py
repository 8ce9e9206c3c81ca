"""What pydantic and FastAPI find wrong with a request, as one problem with stable codes.

A type may bring a code of its own: `refused_as("status_invalid", "...")` in its annotation, or a validator that raises
`coded(...)`. Everything else about a value of a body is `required`, `unknown_field` or `wrong_type`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeGuard, get_args, get_origin

import orjson
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, core_schema

from infra.http.json_body import Json
from infra.http.problems import NOT_FOUND, VALIDATION_FAILED, FieldError, Problem, ProblemType, pointer

BODY_CODES: Final[Mapping[str, str]] = {
    "required": "The field is missing.",
    "unknown_field": "This request does not take the field. The pointer names it, or the object that has it when its "
    "name is not short and plain.",
    "wrong_type": "The value is of another JSON type than the field takes.",
}
"""Codes inside the `errors` of a `validation_failed` that any body may get."""

Kind = type[BaseModel]
Path = tuple[int | str, ...]
ToFieldError = Callable[[Mapping[str, Any]], FieldError]
_WANTED: Final[Mapping[str, str]] = {
    "string_type": "a string",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
"""What a value should be, by pydantic's type of the error."""

MAX_READ: Final = 1_000
"""Errors of pydantic's that are looked at; a body of 1 MiB may have 10^5, and the event loop waits meanwhile."""
_PYDANTICS_OWN: Final = frozenset(get_args(core_schema.ErrorType))
_CHOICES: Final = frozenset({"literal_error", "enum"})
_QUOTED: Final = re.compile("'([^']*)'")


@dataclass(frozen=True, slots=True)
class MissingAs:
    """In the annotation of a required header: the problem that a request without it is refused with."""

    kind: ProblemType


class NeverNull:
    """In the annotation of an optional member: None when it is left out, but a null that was sent is refused.

    For members whose absence means something, such as all that is left: a null is more often a mistake than that.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        schema = handler(source)
        return schema["schema"] if schema["type"] == "nullable" else schema


class RequestBody(BaseModel):
    """A closed, strictly typed request body."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    about_names: ClassVar[AbstractSet[str]] = frozenset()
    """Codes of `value_errors` that are about the name of a value: they stand beside the errors of the value."""

    def value_errors(self, broken: AbstractSet[str]) -> Iterable[FieldError]:  # noqa: ARG002  # for those that need it
        """Return the errors of values that nothing could make right, when other parts of the body have a wrong shape.

        `broken`: the pointers of those parts; what stands at them now is made up.
        """
        return ()


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
    errors = [value_error(item, item["loc"], None) for item in found if item["loc"][0] != "body"]
    model = None if route.body_field is None else route.body_field.field_info.annotation
    if is_model(model):
        of_body = [item for item in found if item["loc"][0] == "body"]
        read = [{**item, "loc": item["loc"][1:]} for item in of_body[:MAX_READ]]
        errors += body_errors(model, error.body, read)
        return Problem(VALIDATION_FAILED, errors=tuple(errors), more_errors=len(of_body) - len(read))
    return Problem(VALIDATION_FAILED, errors=tuple(errors))


def with_dependencies(dependant: Dependant) -> Iterator[Dependant]:
    """Yield what a route takes, and what its dependencies take."""
    yield dependant
    for each in dependant.dependencies:
        yield from with_dependencies(each)


def _missing(route: APIRoute, header: str) -> ProblemType | None:
    fields = (field for each in with_dependencies(route.dependant) for field in each.header_params)
    marks = (mark for field in fields if field.alias == header for mark in field.field_info.metadata)
    return next((mark.kind for mark in marks if isinstance(mark, MissingAs)), None)


def body_errors(
    model: Kind,
    value: Json,
    found: Sequence[Mapping[str, Any]],
    field_error: ToFieldError | None = None,
    place_of: Callable[[Path], Path] = tuple,
) -> tuple[FieldError, ...]:
    """Return everything that is wrong with a body, in its order: shapes, and values where the shape is right.

    Args:
        model: of the body.
        value: the body.
        found: pydantic's `errors()`; `loc` is a path from the top of the body.
        field_error: returns one of them as ours; `value_error` by default.
        place_of: returns the place in the body for a `loc`, which may hold tags of unions.
    """
    to_error = field_error or (lambda item: value_error(item, place_of(item["loc"]), model))
    errors = [to_error(item) for item in found]
    parts = [(place_of(item["loc"]), item["type"] == "extra_forbidden") for item in found]
    mended = mended_body(model, value, parts)
    broken = {pointer(path) for path, is_extra in parts if not is_extra}
    if isinstance(mended, RequestBody):
        names = mended.about_names
        found_in_values = mended.value_errors(broken)
        errors += [each for each in found_in_values if each.code in names or not _is_below(each.pointer, broken)]
    return in_body_order(dict.fromkeys(errors), value)  # several odd names in one object are one error


def in_body_order(errors: Iterable[FieldError], value: Json) -> tuple[FieldError, ...]:
    """Return errors in the order in which a body has their values; what it lacks comes after the rest of its object."""
    return tuple(sorted(errors, key=lambda each: _places(each.pointer, value)))


def _places(pointer: str, value: Json) -> list[int]:
    places: list[int] = []
    for step in pointer.split("/")[1:]:
        if isinstance(value, dict):
            name = step.replace("~1", "/").replace("~0", "~")
            places.append(list(value).index(name) if name in value else len(value))
            value = value.get(name)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            places.append(int(step))
            value = value[int(step)]
    return places


def _is_below(pointer: str, others: AbstractSet[str]) -> bool:
    steps = pointer.split("/")
    return any("/".join(steps[: depth + 1]) in others for depth in range(len(steps)))


def value_error(item: Mapping[str, Any], place: Sequence[int | str], model: Kind | None) -> FieldError:
    """Return one item of pydantic's `errors()` as ours; `place` is the path of the value in the request."""
    match item["type"]:
        case code if code not in _PYDANTICS_OWN:
            return FieldError(pointer(place), code, item["msg"])
        case "missing":
            return FieldError(pointer(place), "required", BODY_CODES["required"])
        case "extra_forbidden":
            return unknown_field(place, fields_at(model, item["loc"][:-1]) if model else ())
    return wrong_type(place, _WANTED.get(item["type"]))


def wrong_type(place: Iterable[int | str], wanted: str | None) -> FieldError:
    """Return the error of a value of another type than is wanted (`a string`)."""
    detail = BODY_CODES["wrong_type"]
    return FieldError(pointer(place), "wrong_type", f"{detail[:-1]}: send {wanted}." if wanted else detail)


def unknown_field(place: Iterable[int | str], known: Iterable[str]) -> FieldError:
    """Return the error of a field that its object does not take; the detail names those it takes."""
    detail = f"This request does not take the field. The object takes: {', '.join(known) or 'no field'}."
    return FieldError(pointer(place), "unknown_field", detail)


def mended_body(model: Kind, value: Json, broken: Iterable[tuple[Path, bool]]) -> BaseModel | None:
    """Return a body with examples and defaults in place of its broken parts; None where that makes no body.

    `broken`: the path of each part, and whether it is one too many.
    """
    whole: Any = orjson.loads(orjson.dumps(value))
    try:
        for path, is_extra in broken:
            parent = whole
            for step in path[:-1]:
                parent = parent[step]
            stand_in = None if is_extra else _stand_in(*_declared_at(model, path))
            if stand_in is None:
                del parent[path[-1]]
            else:
                parent[path[-1]] = stand_in
        return model.model_validate(whole)
    except (LookupError, TypeError, ValidationError):  # the body itself is broken, or a place is not one in it
        return None


def _declared_at(model: Kind, path: Path) -> tuple[Any, FieldInfo | None]:
    """Return the annotation of the value at a place in the body, and its field if it is one."""
    annotation: Any = model
    field: FieldInfo | None = None
    for step in path:
        if isinstance(step, str) and (fields := _fields_in(annotation, step)):
            field = fields[0]
            annotation = field.annotation
        else:  # an item of a list, a value of a mapping
            held = [each for each in (annotation, *get_args(annotation)) if get_origin(each) in {list, dict}]
            field, annotation = None, get_args(held[0])[-1]
    return annotation, field


def _fields_in(annotation: Any, name: str) -> list[FieldInfo]:
    return [kind.model_fields[name] for kind in _kinds_in(annotation) if name in kind.model_fields]


def _stand_in(annotation: Any, field: FieldInfo | None) -> Json:
    """Return a value that fits, None for a member to leave out; it is in a copy of the body and never leaves it."""
    if field is not None and field.examples:
        example: Json = field.examples[0]
        return example
    if field is not None and not field.is_required():
        default: Json = field.get_default(call_default_factory=True, validated_data={})
        return default
    if get_origin(annotation) is list:
        return [_stand_in(get_args(annotation)[0], None)]
    if kind := next(_kinds_in(annotation), None):
        required = {name: each for name, each in kind.model_fields.items() if each.is_required()}
        return {name: _stand_in(each.annotation, each) for name, each in required.items()}
    if annotation in {int, bool, dict}:
        return annotation()  # type: ignore[no-any-return]  # 0, false or {}
    return str(next(iter(get_args(annotation)), ""))  # the first of some words, or any text


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
