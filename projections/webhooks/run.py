"""The dispatcher's process: settings to connections to `Dispatcher`, with a health port."""

import asyncio
from collections.abc import Sequence
from random import SystemRandom
from typing import Final

from prometheus_client import REGISTRY

from infra.observability.health import NotReadyReason
from infra.observability.logs import get_logger
from infra.observability.ops_server import OpsServer
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.pool import connect, open_pool
from infra.postgres.wakeup import Wakeup
from infra.security.secrets_at_rest import SecretBox
from infra.settings import OpsSettings, PostgresSettings, SecuritySettings, SettingsError, WebhookSettings, load
from projections.webhooks.dispatcher import Dispatcher, Ports
from projections.webhooks.metrics import DispatcherMetrics
from projections.webhooks.sender import Deadlines, WebhookSender

CHANNELS: Final = ("harbor_deliveries",)
_LEASE_SHARE: Final = 0.8
"""An attempt must end well before its lease does, or another dispatcher repeats it in the meantime."""


async def main(stop: asyncio.Event) -> None:
    """Dispatch webhooks until `stop` is set; `python -m projections webhooks`.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    settings, postgres = load(WebhookSettings), load(PostgresSettings)
    try:
        box = SecretBox.from_setting(load(SecuritySettings).webhook_secrets_key)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    async with (
        DeferredPool(lambda: open_pool(postgres, application_name="harbor-webhooks")) as database,
        WebhookSender(
            _deadlines(settings), settings.allow_networks, extra_top_level_domains=settings.extra_top_level_domains
        ) as sender,
        Wakeup(lambda: connect(postgres, application_name="harbor-webhooks"), CHANNELS) as wakeup,
    ):
        metrics = DispatcherMetrics(REGISTRY)
        dispatcher = Dispatcher(Ports(database, wakeup, sender, box, settings, metrics, SystemRandom()))

        async def ready() -> Sequence[NotReadyReason]:
            return await database.check() or dispatcher.waiting_for()

        async with OpsServer(load(OpsSettings), ready):
            await dispatcher.run(stop)


def _deadlines(settings: WebhookSettings) -> Deadlines:
    total_s = min(settings.total_timeout_s, settings.lease_s * _LEASE_SHARE)
    if total_s < settings.total_timeout_s:
        get_logger().warning("dispatcher.timeout_shortened", total_timeout_s=total_s, lease_s=settings.lease_s)
    return Deadlines(min(settings.connect_timeout_s, total_s), total_s)
