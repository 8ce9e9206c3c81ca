"""`python -m command_api`: serves the command API; `keys`, `expire` and `openapi` are further commands."""

from starlette.types import ASGIApp

from command_api.api_keys.command_line import keys
from command_api.app import Settings, create_app
from command_api.openapi import document
from command_api.timer.command import expire
from infra.http.command_line import service_commands
from infra.http.server.server import Listen
from infra.settings import load_all


def compose() -> tuple[ASGIApp, Listen]:
    """Return the application by the settings of the environment, and where it listens; raises `SettingsError`."""
    settings = load_all(Settings)
    return create_app(settings), Listen(settings.service.host, settings.service.port)


main = service_commands("command_api", compose, document)
main.add_command(keys)
main.add_command(expire)

if __name__ == "__main__":
    main(prog_name="python -m command_api")
