"""The relay as a whole: wait for the lease, run, and start another run when one ends badly.

One log line per change of state: `standby`, `leading`, `waiting` (broker or database away: tried again, with backoff)
and `halted` (topic and store contradict each other: an operator is needed, nothing is sent until they agree again).
"""

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import Final, Literal

import asyncpg
from aiokafka.errors import KafkaError

from infra.background import run_in_background
from infra.event_store.protocol import EventStoreError, LogCorruptError, StoreUnavailableError
from infra.kafka.topics import TopicsError
from infra.observability.health import MEANINGS, NotReadyReason
from infra.observability.logs import get_logger
from infra.observability.reasons import reason_of
from infra.postgres.failures import ANY_DATABASE_ERROR, NO_CONNECTION_LEFT
from infra.postgres.leases import Lease
from infra.relay.log_reader import TopicAheadOfStoreError
from infra.relay.publisher import TopicRewoundError
from infra.relay.resume import Marks, Plan
from infra.relay.run import Ports, Run
from infra.retry_loop import Cause, RetryLoop

State = Literal["starting", "standby", "leading", "waiting", "halted", "stopped"]

_HALTED_RETRY_S: Final = 3.0
_HALTING: Final = (TopicAheadOfStoreError, LogCorruptError, TopicsError)
_CAUSES: Final = (
    Cause(TopicAheadOfStoreError, "topic_ahead_of_store", _HALTED_RETRY_S, each_message=True),
    Cause(TopicRewoundError, "topic_rewound"),
    Cause(TopicsError, "topic_unusable", _HALTED_RETRY_S, each_message=True),
    Cause(LogCorruptError, "log_corrupt", _HALTED_RETRY_S, each_message=True),
    Cause(MemoryError, "memory_short"),
    NO_CONNECTION_LEFT,
    Cause((EventStoreError, asyncpg.PostgresError, asyncpg.InterfaceError), "database_unreachable"),
    Cause((KafkaError, OSError), "broker_unreachable"),
    Cause(Exception, "unexpected_error"),  # a fault of a driver or of our own: a new run may repair it
)
_OBSERVE_TIMEOUT_S: Final = 2.0


class Relay:
    """One relay process. `lease` is what it contends for with the other relays of its topic (`relay_lease`)."""

    def __init__(self, ports: Ports, lease: Lease) -> None:
        self._ports = ports
        self._lease = lease
        self._state: State = "starting"
        self._loop = RetryLoop(_CAUSES, self._log)
        self._leading: AsyncExitStack | None = None
        self._known: Marks | None = None
        self._rewound: frozenset[int] = frozenset()
        self._attempted: dict[int, int] = {}
        self._running: Run | None = None

    @property
    def state(self) -> State:
        """What the relay is doing."""
        return self._state

    def waiting_for(self) -> tuple[NotReadyReason, ...]:
        """Return nothing when it publishes or stands by, else what is in the way."""
        if self._state == "stopped":
            return ("stopping",)
        is_mending = self._running is not None and self._running.is_mending
        return self._loop.waiting_for() or (("topic_rewound",) if is_mending else ())

    async def relay(self, stop: asyncio.Event) -> None:
        """Relay until `stop` is set; the flush under way is finished and the lease given up."""
        try:
            async with run_in_background(lambda: self._ports.wakeup.wake_on(stop), "wake relay"):
                await self._loop.run(lambda: self._turn(stop), stop)
        finally:
            await self._stop_leading()
            self._enter("stopped")

    async def _turn(self, stop: asyncio.Event) -> float:
        """Publish while the lease is held; else try to get it, or stand by for a moment."""
        if not self._lease.is_held():
            await self._stop_leading()
            if not await self._acquire():
                self._enter("standby")
                return self._lease.look_every_s
            await self._start_leading()
        await self._run(stop)
        return 0

    async def _acquire(self) -> bool:
        try:
            return await self._lease.try_acquire()
        except ANY_DATABASE_ERROR as error:
            raise StoreUnavailableError(reason_of(error)) from error

    async def _start_leading(self) -> None:
        self._ports.metrics.leader.set(1)
        self._ports.metrics.epoch.set(self._lease.epoch)
        # What was known under an earlier lease is old: others may have led since.
        self._known, self._rewound = None, frozenset()
        self._leading = AsyncExitStack()
        await self._leading.enter_async_context(self._lease.kept())

    async def _stop_leading(self) -> None:
        leading, self._leading = self._leading, None
        if leading is not None:
            self._ports.metrics.leader.set(0)
            self._ports.metrics.lag_events.set(0)
            self._ports.metrics.oldest_unsent = None
            await leading.aclose()

    async def _run(self, stop: asyncio.Event) -> None:
        run = Run(
            self._ports,
            self._lease,
            known=self._known,
            rewound=self._rewound,
            attempted=self._attempted,
        )
        self._running = run
        try:
            await run.publish(stop, self._started)
        except Exception as error:
            self._ports.metrics.errors.labels(type(error).__name__).inc()
            if isinstance(error, TopicRewoundError):
                self._rewound |= error.partitions
            # Where topic and store contradict each other, what was known belongs to another history of the log.
            self._known = None if isinstance(error, TopicAheadOfStoreError) else run.marks
            await self._observe_backlog()
            raise
        finally:
            self._running = None
        self._known = run.marks

    def _started(self, plan: Plan) -> None:
        self._rewound = frozenset()
        self._loop.ready()
        self._enter("leading", after_position=plan.start, epoch=self._lease.epoch)

    def _log(self, reason: NotReadyReason | None, error: Exception | None) -> None:
        if error is not None:
            state: State = "halted" if isinstance(error, _HALTING) else "waiting"
            what_next = MEANINGS[reason] if reason is not None else ""
            trace = {"exc_info": error} if reason == "unexpected_error" else {}
            self._enter(state, waiting_for=reason, reason=reason_of(error), what_next=what_next, **trace)

    def _enter(self, state: State, **fields: object) -> None:
        if state != self._state or state in {"waiting", "halted"}:
            log = get_logger()
            write = {"waiting": log.warning, "halted": log.critical}.get(state, log.info)
            write("relay.state", state=state, before=self._state, topic=self._ports.topic.name, **fields)
            self._ports.metrics.halted.set(state == "halted")
        self._state = state

    async def _observe_backlog(self) -> None:
        """Keep the metrics of the lag true while nothing can be sent."""
        sent = self._known.low_water if self._known is not None else 0
        with suppress(Exception):  # only metrics: the next run reports what is wrong
            async with asyncio.timeout(_OBSERVE_TIMEOUT_S):
                head = await self._ports.store.head()
                oldest = await self._ports.store.read_all(sent, 1)
            self._ports.metrics.lag_events.set(max(0, head - sent))
            self._ports.metrics.oldest_unsent = oldest[0].recorded_at if oldest else None


def relay_lease(ports: Ports, *, holder: str) -> Lease:
    """Return the lease that all relays of a topic contend for; `holder` names this one and must be unique."""
    return Lease(ports.pool, name=f"relay {ports.topic.name}", holder=holder, ttl_s=ports.settings.lease_ttl_s)
