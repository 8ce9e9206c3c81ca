"""The relay as a whole: wait for the lease, run, and start another run when one ends badly.

One log line per change of state: `standby`, `leading`, `waiting` (broker or database away; tries again, with backoff)
and `halted` (topic and store contradict each other: an operator is needed, nothing is sent until they agree again).
"""

import asyncio
from contextlib import suppress
from typing import Final, Literal

import asyncpg

from infra.clock import monotonic_s
from infra.event_store.protocol import EventStoreError, LogCorruptError
from infra.kafka.topics import TopicsError
from infra.observability.health import NotReadyReason
from infra.observability.logs import get_logger
from infra.postgres.failures import UNREACHABLE
from infra.postgres.leases import Lease
from infra.relay.publisher import TopicRewoundError
from infra.relay.resume import Marks, Plan
from infra.relay.run import Ports, Run, TopicAheadOfStoreError

_WAITS: Final[tuple[tuple[type[Exception], NotReadyReason], ...]] = (
    (TopicAheadOfStoreError, "topic_ahead_of_store"),
    (TopicRewoundError, "topic_rewound"),
    (TopicsError, "topic_unusable"),
    (LogCorruptError, "log_corrupt"),
    (MemoryError, "memory_short"),
    (EventStoreError, "database_unreachable"),
    (asyncpg.PostgresError, "database_unreachable"),
    (asyncpg.InterfaceError, "database_unreachable"),
)
State = Literal["starting", "standby", "leading", "waiting", "halted", "stopped"]

_BACKOFF_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
_CALM_S: Final = 5.0
"""A run that lasted longer than these seconds starts a new series of failures."""
_HALTED_RETRY_S: Final = 10.0
_OBSERVE_TIMEOUT_S: Final = 2.0


class Relay:
    """One relay process. `lease` is what it contends for with the other relays of its topic (`relay_lease`)."""

    def __init__(self, ports: Ports, lease: Lease) -> None:
        self._ports = ports
        self._lease = lease
        self._state: State = "starting"
        self._waiting: NotReadyReason | None = "starting"
        self._known: Marks | None = None
        self._rewound: frozenset[int] = frozenset()
        self._attempted: dict[int, int] = {}

    @property
    def state(self) -> State:
        """What the relay is doing."""
        return self._state

    def waiting_for(self) -> tuple[NotReadyReason, ...]:
        """Return nothing when it publishes or stands by, else what is in the way."""
        return () if self._waiting is None else (self._waiting,)

    async def relay(self, stop: asyncio.Event) -> None:
        """Relay until `stop` is set; the flush under way is finished and the lease given up."""
        waking = asyncio.create_task(self._wake_on(stop))
        try:
            failures = 0
            while not stop.is_set():
                try:
                    acquired = await self._lease.try_acquire()
                except UNREACHABLE as error:
                    self._enter("waiting", f"database: {error!r}", waiting="database_unreachable")
                    await _pause(stop, _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                    failures += 1
                    continue
                failures = 0
                if acquired:
                    await self._lead(stop)
                else:
                    self._enter("standby")
                    await _pause(stop, self._lease.look_every_s)
        finally:
            waking.cancel()
            self._enter("stopped", waiting="stopping")

    async def _lead(self, stop: asyncio.Event) -> None:
        metrics = self._ports.metrics
        metrics.leader.set(1)
        metrics.epoch.set(self._lease.epoch)
        # What an earlier tenure knew is old: others may have led since.
        self._known, self._rewound = None, frozenset()
        failures = 0
        try:
            async with self._lease.kept():
                while self._lease.is_held() and not stop.is_set():
                    started_at = monotonic_s()
                    if await self._run(stop):
                        continue
                    failures = 0 if monotonic_s() - started_at > _CALM_S else failures + 1
                    halted = self._state == "halted"
                    await self._observe_backlog()
                    await _pause(stop, _HALTED_RETRY_S if halted else _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
        finally:
            metrics.leader.set(0)
            metrics.lag_events.set(0)
            metrics.note_oldest_unsent(None)

    async def _run(self, stop: asyncio.Event) -> bool:
        """Do one run; give whether another may follow at once."""
        run = Run(self._ports, self._lease, known=self._known, rewound=self._rewound, attempted=self._attempted)
        try:
            await run.publish(stop, self._started)
        except TopicRewoundError as error:
            self._failed("waiting", error)
            self._rewound |= error.partitions
        except (TopicAheadOfStoreError, LogCorruptError, TopicsError) as error:
            self._failed("halted", error)
        except Exception as error:  # noqa: BLE001  # whatever broker, driver or database raise: a new run heals it
            self._failed("waiting", error)
        else:
            return True
        finally:
            self._known = run.marks
        return False

    def _started(self, plan: Plan) -> None:
        self._rewound = frozenset()
        self._enter("leading", after_position=plan.start, epoch=self._lease.epoch)

    def _failed(self, state: Literal["waiting", "halted"], error: Exception) -> None:
        self._ports.metrics.errors.labels(type(error).__name__).inc()
        reason = str(error) if state == "halted" else f"{type(error).__name__}: {error}"
        self._enter(state, reason, waiting=_waits_after(error))

    def _enter(
        self, state: State, reason: str = "", *, waiting: NotReadyReason | None = None, **fields: object
    ) -> None:
        if state != self._state:
            log = get_logger()
            write = {"waiting": log.warning, "halted": log.critical}.get(state, log.info)
            write("relay.state", state=state, before=self._state, topic=self._ports.topic.name, **fields, reason=reason)
            self._ports.metrics.halted.set(state == "halted")
        self._state, self._waiting = state, waiting

    async def _observe_backlog(self) -> None:
        """Keep the lag true while nothing can be sent."""
        sent = self._known.low_water if self._known is not None else 0
        with suppress(Exception):  # only metrics: the next run reports what is wrong
            async with asyncio.timeout(_OBSERVE_TIMEOUT_S):
                head = await self._ports.store.head()
                oldest = await self._ports.store.read_all(sent, 1)
            self._ports.metrics.lag_events.set(max(0, head - sent))
            self._ports.metrics.note_oldest_unsent(oldest[0].recorded_at if oldest else None)

    async def _wake_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._ports.wakeup.wake()


def _waits_after(error: Exception) -> NotReadyReason:
    """Return why a relay whose run ended with this error is not ready; any other error comes from the broker."""
    return next((code for kind, code in _WAITS if isinstance(error, kind)), "broker_unreachable")


def relay_lease(ports: Ports, *, holder: str) -> Lease:
    """Return the lease that all relays of a topic contend for; `holder` names this one and must be unique."""
    return Lease(ports.pool, name=f"relay {ports.topic.name}", holder=holder, ttl_s=ports.settings.lease_ttl_s)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
