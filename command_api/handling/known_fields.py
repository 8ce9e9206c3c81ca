"""Which fields an object of a request takes, found by its place in the body: what an unknown field is told with."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel

Kind = type[BaseModel]


def known_fields_text(fields: Iterable[str]) -> str:
    """Return which fields an object takes."""
    return f"The object takes: {', '.join(fields) or 'no field'}."


def fields_at(body: Kind, path: Sequence[int | str]) -> list[str]:
    """Return the fields of the object at a place of pydantic's (`loc`): names, places in lists, tags of unions."""
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
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _kinds_in(inner)
