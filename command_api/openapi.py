"""The OpenAPI document of the command service, made without a server: for docs/openapi and its drift check."""

from typing import Any

from pydantic import SecretStr

from command_api.app import Settings, create_app
from infra.settings import (
    CommandApiSettings,
    KafkaSettings,
    LimitSettings,
    PostgresSettings,
    RedisSettings,
    SecuritySettings,
    WebhookSettings,
)


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document; nothing is opened and the environment is not read for secrets."""
    unused = SecretStr("unused" * 8)
    return create_app(
        Settings(
            service=CommandApiSettings(),
            postgres=PostgresSettings(url=unused),
            security=SecuritySettings(api_key_pepper=unused, cursor_secret=unused, webhook_secrets_key=unused),
            kafka=KafkaSettings(),
            webhooks=WebhookSettings(),
            redis=RedisSettings(),
            limits=LimitSettings(),
        )
    ).openapi()
