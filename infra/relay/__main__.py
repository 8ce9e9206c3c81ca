"""`python -m infra.relay`: relay the event log to Kafka; run as many as you like, one leads and the others stand by."""

import asyncio
import gc
import socket
import sys
from contextlib import suppress

import asyncpg
import click
from prometheus_client import REGISTRY

from infra import runtime
from infra.clock import new_id
from infra.event_store.postgres import open_event_store
from infra.kafka.topics import events_topic
from infra.observability.health import NotReadyReason
from infra.observability.logs import configure, get_logger
from infra.observability.ops_server import OpsServer
from infra.postgres.deferred_pool import missing_for
from infra.postgres.failures import UNREACHABLE
from infra.postgres.migrate import MigrationError
from infra.postgres.pool import Pool, SchemaBehindError, connect, open_pool
from infra.postgres.wakeup import Wakeup
from infra.relay.metrics import RelayMetrics
from infra.relay.relay import Relay, relay_lease
from infra.relay.run import Ports
from infra.settings import KafkaSettings, LogSettings, OpsSettings, PostgresSettings, RelaySettings, SettingsError, load

_APPLICATION = "harbor-relay"
_RETRY_S = 0.5


@click.command(
    epilog="Example: HARBOR_POSTGRES__URL=... HARBOR_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:9092 python -m infra.relay"
)
def main() -> None:
    """Relay the event log to Kafka. All settings are HARBOR_* variables: docs/settings.md."""
    try:
        configure("relay", load(LogSettings).level)
        kafka = load(KafkaSettings)
    except SettingsError as error:
        sys.exit(str(error))
    if not kafka.bootstrap_servers:
        sys.exit(
            "no broker is configured, so there is nothing to relay to: set HARBOR_KAFKA__BOOTSTRAP_SERVERS, or do not "
            "start the relay (projection workers then read the event store)"
        )
    # A batch is tens of thousands of small tuples that die together. By default every 700 of them start a collection,
    # which was measured to cost a third of the time that building records takes.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    runtime.run(lambda stop: _serve(stop, kafka, kafka.bootstrap_servers or ""))


async def _serve(stop: asyncio.Event, kafka: KafkaSettings, bootstrap_servers: str) -> None:
    postgres, settings, ops = load(PostgresSettings), load(RelaySettings), load(OpsSettings)
    status = _Status()
    async with OpsServer(ops, status.waiting_for):
        pool = await _open_pool(postgres, stop, status)
        if pool is None:
            return
        try:
            async with (
                open_event_store(postgres, pool) as store,
                Wakeup(lambda: connect(postgres, application_name=_APPLICATION), ["harbor_events"]) as wakeup,
            ):
                ports = Ports(
                    store=store,
                    pool=pool,
                    wakeup=wakeup,
                    bootstrap_servers=bootstrap_servers,
                    topic=events_topic(kafka),
                    settings=settings,
                    metrics=RelayMetrics(REGISTRY),
                )
                status.relay = Relay(ports, relay_lease(ports, holder=f"{socket.gethostname()} {new_id()}"))
                await status.relay.relay(stop)
        finally:
            pool.terminate()


class _Status:
    """What /readyz answers while the relay is being put together and later."""

    def __init__(self) -> None:
        self.relay: Relay | None = None
        self.before: NotReadyReason = "starting"

    def waiting_for(self) -> tuple[NotReadyReason, ...]:
        return (self.before,) if self.relay is None else self.relay.waiting_for()


async def _open_pool(postgres: PostgresSettings, stop: asyncio.Event, status: _Status) -> Pool | None:
    """Wait until the database can be used, with one line when it cannot; `None`: told to stop meanwhile."""
    is_known = False
    while not stop.is_set():
        try:
            return await open_pool(postgres, application_name=_APPLICATION)
        except (*UNREACHABLE, SchemaBehindError, MigrationError) as error:
            if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
                raise  # waiting does not mend a wrong password
            status.before = missing_for(error)
            if not is_known:
                get_logger().warning("relay.state", state="waiting", reason=f"database: {error!r}")
                is_known = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_S):
                await stop.wait()
    return None


if __name__ == "__main__":
    main()
