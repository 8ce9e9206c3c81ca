"""How rows become documents: a column has the name of the member it fills."""

from typing import Annotated, Any, Self, TypeVar

import asyncpg
import orjson
from pydantic import BeforeValidator

from domain.order.document import Document

T = TypeVar("T")


def _parsed(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) else value


StoredJson = Annotated[T, BeforeValidator(_parsed)]
"""A member whose column holds JSON."""


class RowDocument(Document):
    """A document that is made of a row."""

    @classmethod
    def of(cls, row: asyncpg.Record, **others: Any) -> Self:
        """Return the document of a row, which may hold more columns; `others` are members without a column."""
        names = (field.alias or name for name, field in cls.model_fields.items())
        return cls.model_validate({name: row[name] for name in names if name not in others} | others)
