"""The timer's process: settings to connections to `Expirer`, with a health port."""

import asyncio
from collections.abc import Sequence
from typing import Final

from prometheus_client import REGISTRY

from command_api.handling.appender import make_appender
from command_api.handling.handle import WritePath
from command_api.timer.expirer import Expirer
from command_api.timer.metrics import ExpiryMetrics
from infra.event_store import metrics as append_metrics
from infra.event_store.postgres import PostgresEventStore
from infra.observability.health import NotReadyReason
from infra.observability.ops_server import OpsServer
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.pool import open_pool
from infra.postgres.timers import Timers
from infra.settings import CommandApiSettings, ExpirySettings, OpsSettings, PostgresSettings, load

_NAME: Final = "harbor-expiry"


async def main(stop: asyncio.Event) -> None:
    """Let orders expire until `stop` is set; `python -m command_api expire`.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    settings, postgres, service = load(ExpirySettings), load(PostgresSettings), load(CommandApiSettings)
    async with (
        DeferredPool(lambda: open_pool(postgres, application_name=_NAME)) as database,
        make_appender(postgres, service, _NAME) as appender,
    ):
        append_metrics.expose(REGISTRY, append_metrics.APPEND)
        store = PostgresEventStore(lambda: database.pool, appender)
        expirer = Expirer(lambda: Timers(database.pool), store, WritePath(store), settings, ExpiryMetrics(REGISTRY))

        async def ready() -> Sequence[NotReadyReason]:
            return await database.check() or expirer.waiting_for()

        async with OpsServer(load(OpsSettings), ready):
            await expirer.run(stop)
