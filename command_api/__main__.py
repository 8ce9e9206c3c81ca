"""`python -m command_api`: serves the command API; `keys` manages API keys, `openapi` prints the document."""

import asyncio
import gc

import click
import orjson

from command_api.app import Settings, create_app
from command_api.keys import keys
from command_api.openapi import document
from infra import logs, runtime
from infra.http.server import Listen, serve
from infra.settings import (
    CommandApiSettings,
    KafkaSettings,
    LimitSettings,
    LogSettings,
    PostgresSettings,
    RedisSettings,
    SecuritySettings,
    SettingsError,
    WebhookSettings,
    load,
)


@click.group(invoke_without_command=True, help="Harbor Orders command API. Without a command: serve it.")
@click.pass_context
def main(context: click.Context) -> None:
    """Serve unless a command was given.

    Example: HARBOR_COMMAND_API__PORT=8000 python -m command_api
    """
    if context.invoked_subcommand is None:
        run_server()


@main.command("serve")
def serve_command() -> None:
    """Serve until SIGTERM; the same as no command. Settings: docs/settings.md."""
    run_server()


@main.command("openapi")
def openapi_command() -> None:
    """Print the OpenAPI document.

    Example: python -m command_api openapi > docs/openapi/command_api.json
    """
    click.echo(orjson.dumps(document(), option=orjson.OPT_INDENT_2))


def run_server() -> None:
    """Serve by the settings of the environment.

    Raises:
        ClickException: a setting is missing or wrong.
    """
    try:
        logs.configure("command_api", load(LogSettings).level)
        settings = Settings(
            service=load(CommandApiSettings),
            postgres=load(PostgresSettings),
            security=load(SecuritySettings),
            kafka=load(KafkaSettings),
            webhooks=load(WebhookSettings),
            redis=load(RedisSettings),
            limits=load(LimitSettings),
        )
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    listen = Listen(settings.service.host, settings.service.port, settings.service.http)
    app = create_app(settings)

    # What exists now lives as long as the process: never walk it again, and look for new cycles rarely (0040).
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)

    async def until_stopped(stop: asyncio.Event) -> None:
        await serve(app, stop, listen)

    runtime.run(until_stopped)


main.add_command(keys)

if __name__ == "__main__":
    main(prog_name="python -m command_api")
