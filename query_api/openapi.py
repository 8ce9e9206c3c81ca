"""The OpenAPI document of the query service, made without a server: for docs/openapi and its drift check."""

from typing import Any

from infra.http.addresses import services
from infra.http.openapi.servers import servers_anywhere
from infra.settings import PublicSettings, QueryApiSettings
from query_api.app import StateContext, assemble
from query_api.metrics import QueryMetrics


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document; nothing is opened and no secret is read."""
    public = PublicSettings.model_construct()
    anywhere = servers_anywhere(services("query", public).own, local_port=QueryApiSettings.model_fields["port"].default)
    return assemble(QueryApiSettings(), _never_opened, public).openapi() | {"servers": anywhere}


def _never_opened(_metrics: QueryMetrics) -> StateContext:
    raise AssertionError("a document needs no lifespan")
