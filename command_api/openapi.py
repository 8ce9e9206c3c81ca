"""The OpenAPI document of the command service, made without a server: for docs/openapi and its drift check."""

from typing import Any

from command_api.app import StateContext, assemble
from command_api.metrics import CommandMetrics
from infra.http.addresses import services
from infra.http.openapi.servers import servers_anywhere
from infra.settings import CommandApiSettings, PublicSettings


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document; nothing is opened and no secret is read."""
    public = PublicSettings.model_construct()
    anywhere = servers_anywhere(
        services("command", public).own, local_port=CommandApiSettings.model_fields["port"].default
    )
    return assemble(CommandApiSettings(), _never_opened, public).openapi() | {"servers": anywhere}


def _never_opened(_metrics: CommandMetrics) -> StateContext:
    raise AssertionError("a document needs no lifespan")
