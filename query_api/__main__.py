"""`python -m query_api`: serves the query API; `openapi` prints its document."""

from starlette.types import ASGIApp

from infra.http.command_line import service_commands
from infra.http.server.server import Listen
from infra.settings import load_all
from query_api.app import Settings, create_app
from query_api.openapi import document


def compose() -> tuple[ASGIApp, Listen]:
    """Return the application by the settings of the environment, and where it listens; raises `SettingsError`."""
    settings = load_all(Settings)
    return create_app(settings), Listen(settings.service.host, settings.service.port)


main = service_commands("query_api", compose, document)

if __name__ == "__main__":
    main(prog_name="python -m query_api")
