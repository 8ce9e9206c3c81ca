"""The body of POST /orders/batch. Only the list is validated with it; each order is validated by itself."""

from typing import Annotated, Any, Final

from pydantic import Field, PlainValidator

from command_api.handling.idempotency import KEY_PATTERN
from command_api.orders.bodies import CreateOrderBody
from infra.http.json_body import Json
from infra.http.validation import RequestBody

MAX_ORDERS: Final = 500


class BatchOrderBody(RequestBody):
    """One order of a batch and its key."""

    idempotency_key: str = Field(
        description="as the Idempotency-Key of a single create, and in the same namespace",
        json_schema_extra={"pattern": KEY_PATTERN},
        examples=["0192f0c1-8a3b-7c55-9a53-0f6f3b1f2f10"],
    )
    order: CreateOrderBody


def _unchanged(value: Json) -> Json:
    return value


UncheckedOrder = Annotated[Any, PlainValidator(_unchanged, json_schema_input_type=BatchOrderBody)]
"""A `BatchOrderBody`, if it is valid: each order is validated by itself."""


class BatchBody(RequestBody):
    """Orders to create; an invalid one is refused in its place and does not affect the others."""

    orders: list[UncheckedOrder] = Field(min_length=1, max_length=MAX_ORDERS)
