"""`python -m query_api`: serves the query API; `openapi` prints its document."""

from starlette.types import ASGIApp

from infra.http.command_line import service_commands
from infra.http.server.server import Listen
from infra.settings import (
    KafkaSettings,
    LimitSettings,
    PostgresSettings,
    QueryApiSettings,
    RedisSettings,
    SecuritySettings,
    load,
)
from query_api.app import Settings, create_app
from query_api.openapi import document


def compose() -> tuple[ASGIApp, Listen]:
    """Return the application by the settings of the environment, and where it listens; raises `SettingsError`."""
    settings = Settings(
        service=load(QueryApiSettings),
        postgres=load(PostgresSettings),
        security=load(SecuritySettings),
        kafka=load(KafkaSettings),
        redis=load(RedisSettings),
        limits=load(LimitSettings),
    )
    return create_app(settings), Listen(settings.service.host, settings.service.port)


main = service_commands("query_api", compose, document)

if __name__ == "__main__":
    main(prog_name="python -m query_api")
