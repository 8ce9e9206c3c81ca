"""`python -m query_api`: serves the query API; `openapi` prints its document."""

import asyncio
import gc

import click
import orjson

from infra import logs, runtime
from infra.http.server import Listen, serve
from infra.settings import (
    KafkaSettings,
    LimitSettings,
    LogSettings,
    PostgresSettings,
    QueryApiSettings,
    RedisSettings,
    SecuritySettings,
    SettingsError,
    load,
)
from query_api.app import Settings, create_app
from query_api.openapi import document


@click.group(invoke_without_command=True, help="Harbor Orders query API. Without a command: serve it.")
@click.pass_context
def main(context: click.Context) -> None:
    """Serve unless a command was given.

    Example: HARBOR_QUERY_API__PORT=8001 python -m query_api
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

    Example: python -m query_api openapi > docs/openapi/query_api.json
    """
    click.echo(orjson.dumps(document(), option=orjson.OPT_INDENT_2))


def run_server() -> None:
    """Serve by the settings of the environment.

    Raises:
        ClickException: a setting is missing or wrong.
    """
    try:
        logs.configure("query_api", load(LogSettings).level)
        settings = Settings(
            service=load(QueryApiSettings),
            postgres=load(PostgresSettings),
            security=load(SecuritySettings),
            kafka=load(KafkaSettings),
            redis=load(RedisSettings),
            limits=load(LimitSettings),
        )
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    listen = Listen(settings.service.host, settings.service.port, settings.service.http)
    app = create_app(settings)
    gc.freeze()  # what exists now lives as long as the process: never walk it again

    async def until_stopped(stop: asyncio.Event) -> None:
        await serve(app, stop, listen)

    runtime.run(until_stopped)


if __name__ == "__main__":
    main(prog_name="python -m query_api")
