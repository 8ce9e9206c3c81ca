"""The OpenAPI document of the query service, made without a server: for docs/openapi and its drift check."""

from typing import Any

from infra.settings import QueryApiSettings
from query_api.app import StateContext, assemble
from query_api.metrics import FreshnessMetrics


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document; nothing is opened and no secret is read."""
    return assemble(QueryApiSettings(), _never_opened).openapi()


def _never_opened(_metrics: FreshnessMetrics) -> StateContext:
    raise AssertionError("a document needs no lifespan")
