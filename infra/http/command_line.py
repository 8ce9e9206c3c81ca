"""The command line both HTTP services have: serve (the default) and print the OpenAPI document."""

import gc
from collections.abc import Callable
from typing import Any, Final

import click
import orjson
from starlette.types import ASGIApp

from infra import runtime
from infra.http.server.server import Listen, serve
from infra.settings import SettingsError

_GARBAGE_THRESHOLDS: Final = (50_000, 20, 50)

Compose = Callable[[], tuple[ASGIApp, Listen]]
"""Reads the settings; returns the application and where it listens. Raises `SettingsError`."""


def service_commands(name: str, compose: Compose, document: Callable[[], dict[str, Any]]) -> click.Group:
    """Return the commands of the service `name` (its package); without a command it serves."""

    @click.group(
        name=name,
        invoke_without_command=True,
        help=f"Harbor Orders, {name}. Without a command: serve. Settings: docs/settings.md.",
        epilog=f"Example: HARBOR_{name.upper()}__PORT=8000 python -m {name}",
    )
    @click.pass_context
    def main(context: click.Context) -> None:
        if context.invoked_subcommand is None:
            _run(name, compose)

    @main.command("serve", epilog=f"Example: python -m {name} serve")
    def serve_command() -> None:
        """Serve until SIGTERM; the same as no command."""
        _run(name, compose)

    @main.command("openapi", epilog=f"Example: python -m {name} openapi > {name}.json")
    def openapi_command() -> None:
        """Print the OpenAPI document; needs no settings."""
        click.echo(orjson.dumps(document(), option=orjson.OPT_INDENT_2))

    return main


def _run(name: str, compose: Compose) -> None:
    """Serve by the settings of the environment until SIGTERM, then drain.

    Raises:
        SystemExit: 2 after one line, a setting is missing or wrong.
    """
    try:
        runtime.begin(name)
        app, listen = compose()
    except SettingsError as error:
        runtime.refuse(str(error))
    # What exists now lives as long as the process: never scan it again, and look for new cycles rarely (decision 0040).
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE_THRESHOLDS)

    runtime.run(lambda stop: serve(app, stop, listen))
