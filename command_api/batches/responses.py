"""The responses of POST /orders/batch, for OpenAPI."""

from typing import Final

from pydantic import ConfigDict, Field

from command_api import errors
from command_api.orders.responses import BATCH_HEADERS, Responses
from domain.order.document import Document, Order
from infra.http import json_body, problems
from infra.http.addresses import ORDERS
from infra.http.openapi.document import problem_responses

_KEY: Final = "0192f0c1-8a3b-7c55-9a53-0f6f3b1f2f10"
_ORDER: Final = "019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10"


class ProblemDocument(Document):
    """RFC 9457. `code` is stable; extension members depend on it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    retryable: bool


class BatchSummary(Document):
    """How many orders there were, and how each ended; the last four add up to the first."""

    orders: int = Field(examples=[1])
    created: int = Field(description="now", examples=[1])
    replayed: int = Field(description="by an earlier request under the same key", examples=[0])
    refused: int = Field(description="now or before: correct them and send them again", examples=[0])
    unknown: int = Field(description="status 500 or above: send them again with the same keys", examples=[0])


class BatchResult(Document):
    """One result: what status, headers and body of a single create would be."""

    idempotency_key: str | None = Field(description="null when the item has none that can be used", examples=[_KEY])
    status: int = Field(examples=[201])
    replayed: bool = Field(description="the recorded response of an earlier request")
    location: str | None = Field(
        description="where the order is read: its address at the query service", examples=[f"{ORDERS}/{_ORDER}"]
    )
    etag: str | None = Field(description="the order's version", examples=['"1"'])
    consistency_token: str | None = Field(
        description="send it to the query API to read at or after this change", examples=["7.1234"]
    )
    body: Order | ProblemDocument


class BatchDocument(Document):
    """The results, in the order of the request."""

    summary: BatchSummary
    results: list[BatchResult]


RESPONSES: Final[Responses] = {
    207: {
        "model": BatchDocument,
        "description": (
            "One result for each order. Besides 201, an item may get: "
            + "; ".join(
                f"{kind.status} `{kind.code}`"
                for kind in (
                    errors.IDEMPOTENCY_KEY_REQUIRED,
                    errors.IDEMPOTENCY_KEY_INVALID,
                    errors.DUPLICATE_EXTERNAL_REFERENCE,
                    problems.VALIDATION_FAILED,
                    errors.IDEMPOTENCY_KEY_MISMATCH,
                    errors.ORDER_TOO_LARGE,
                    problems.INTERNAL_ERROR,
                    errors.OUTCOME_UNKNOWN,
                    problems.STORE_UNAVAILABLE,
                    errors.QUEUE_FULL,
                )
            )
            + "."
        ),
        "headers": BATCH_HEADERS,
    },
    **problem_responses(
        *problems.EVERY_ROUTE,
        *json_body.PROBLEMS,
        problems.PARTNER_KEY_REQUIRED,
        problems.ABOVE_RATE,
        errors.QUEUE_FULL,
    ),
}
