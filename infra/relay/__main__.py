"""`python -m infra.relay`: relay the event log to Kafka; run as many as you like, one leads and the others stand by."""

import asyncio
import gc
import os
import socket
from collections.abc import Sequence

import click
from prometheus_client import REGISTRY

from infra import runtime
from infra.clock import new_id
from infra.event_store.postgres import open_event_store
from infra.kafka.topics import events_topic
from infra.observability.health import NotReadyReason
from infra.observability.ops_server import OpsServer
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.pool import connect, open_pool
from infra.postgres.wakeup import Wakeup
from infra.relay.commands import refill, verify
from infra.relay.metrics import RelayMetrics
from infra.relay.relay import Relay, relay_lease
from infra.relay.run import Ports
from infra.settings import KafkaSettings, OpsSettings, PostgresSettings, RelaySettings, SettingsError, load
from infra.settings_names import warn_of_mistyped

_APPLICATION = "harbor-relay"


@click.group(
    invoke_without_command=True,
    epilog="Example: HARBOR_POSTGRES__URL=... HARBOR_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:9092 python -m infra.relay",
)
@click.pass_context
def main(context: click.Context) -> None:
    """Relay the event log to Kafka, or run a command. All settings are HARBOR_* variables: docs/settings.md."""
    if context.invoked_subcommand is None:
        _relay()
    else:
        warn_of_mistyped(os.environ)


main.add_command(verify)
main.add_command(refill)


def _relay() -> None:
    try:
        runtime.begin("relay")
        kafka = load(KafkaSettings)
    except SettingsError as error:
        runtime.refuse(str(error))
    if not kafka.bootstrap_servers:
        runtime.refuse(
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
    relay: Relay | None = None

    async def ready() -> Sequence[NotReadyReason]:
        return await database.check() or (relay.waiting_for() if relay else ("starting",))

    database = DeferredPool(lambda: open_pool(postgres, application_name=_APPLICATION))
    async with OpsServer(ops, ready), database:
        pool = await database.opened_before(stop)
        if pool is None:
            return
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
            relay = Relay(ports, relay_lease(ports, holder=f"{socket.gethostname()} {new_id()}"))
            await relay.relay(stop)


if __name__ == "__main__":
    main()
