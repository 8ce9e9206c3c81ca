"""The OpenAPI document of the command service, made without a server: for docs/openapi and its drift check."""

from typing import Any

from command_api.app import StateContext, assemble
from command_api.metrics import CommandMetrics
from infra.settings import CommandApiSettings


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document; nothing is opened and no secret is read."""
    return assemble(CommandApiSettings(), _never_opened).openapi()


def _never_opened(_metrics: CommandMetrics) -> StateContext:
    raise AssertionError("a document needs no lifespan")
