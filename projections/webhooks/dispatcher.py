"""The webhook dispatcher: leases due deliveries, fairly, and makes their attempts.

Any number may run. Nothing is kept in memory that a kill could lose: an attempt whose end was not recorded is repeated
after its lease, with the same id and the same bytes.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final
from uuid import UUID

from infra import clock
from infra.observability.health import NotReadyReason
from infra.observability.logs import get_logger
from infra.observability.reasons import reason_of
from infra.postgres.connection import Connection
from infra.postgres.deferred_pool import DeferredPool
from infra.postgres.failures import ANY_DATABASE_ERROR, NO_CONNECTION_LEFT
from infra.postgres.wakeup import Wakeup
from infra.retry_loop import Cause, RetryLoop
from infra.security.secrets_at_rest import SecretBox
from infra.settings import WebhookSettings
from projections.webhooks import queue
from projections.webhooks.attempt import conclude, headers_of
from projections.webhooks.breaker import Breaker
from projections.webhooks.endpoint_secrets import EndpointSecrets
from projections.webhooks.fairness import share_slots
from projections.webhooks.metrics import DispatcherMetrics
from projections.webhooks.outcomes import VERDICTS, AttemptOutcome, Verdict
from projections.webhooks.queue import LeasedDelivery, QueuedEndpoint
from projections.webhooks.recorder import Ended, Recorder
from projections.webhooks.sender import Reply, WebhookSender

GATHER_S: Final = 0.002
"""Freed slots gather this long before the next lease, so that many deliveries are leased at once under load."""

DRAIN_S: Final = 10.0
DEPTH_EVERY_S: Final = 15.0
NOTE_EVERY_S: Final = 5.0
_BACKOFF_S: Final = 0.5
_BREAKERS_KEPT: Final = 10_000

_SUSPENSIONS: Final[Mapping[Verdict, tuple[str, str]]] = {
    Verdict.DISABLE: ("disabled", "the endpoint responded with 410 Gone"),
    Verdict.MISCONFIGURED: ("misconfigured", "the endpoint's address may not be called"),
}


@dataclass(frozen=True, slots=True)
class Ports:
    """What a dispatcher is connected to. `random` is for the jitter; tests seed it."""

    database: DeferredPool
    wakeup: Wakeup
    sender: WebhookSender
    box: SecretBox
    settings: WebhookSettings
    metrics: DispatcherMetrics
    random: Random


class Dispatcher:
    """One dispatcher; call `run` once."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._recorder = Recorder(ports.database, self._free)
        self._held: Counter[UUID] = Counter()
        self._breakers: dict[UUID, Breaker] = {}
        self._attempts: set[asyncio.Task[None]] = set()
        self._waits_for_slots = False
        self._wake_planned = False
        self._secrets = EndpointSecrets(ports.box)
        self._next_depth_s = self._next_note_s = 0.0
        self._loop = RetryLoop(
            (NO_CONNECTION_LEFT, Cause(ANY_DATABASE_ERROR, "database_unreachable")), self._log, (_BACKOFF_S,)
        )

    def waiting_for(self) -> tuple[NotReadyReason, ...]:
        """Return why nothing can be delivered; nothing when it can."""
        return self._loop.waiting_for() or self._secrets.waiting_for()

    async def run(self, stop: asyncio.Event) -> None:
        """Dispatch until `stop` is set, then let attempts under way end and record them."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recorder.run())
            waker = group.create_task(self._ports.wakeup.wake_on(stop))
            await self._loop.run(lambda: self._turns(group, stop), stop)
            await self._drain()
            self._recorder.close()
            waker.cancel()

    async def _turns(self, group: asyncio.TaskGroup, stop: asyncio.Event) -> float:
        try:
            async with self._ports.database.pool.acquire() as connection:
                await connection.execute(queue.INDEXES_ONLY)
                while not stop.is_set():
                    wait_s = await self._turn(connection, group)
                    self._loop.ready()
                    await self._ports.wakeup.wait(wait_s)
        except ANY_DATABASE_ERROR:
            self._ports.metrics.errors.inc()
            self._ports.metrics.forget()
            self._next_depth_s = 0.0
            raise
        return 0

    async def _turn(self, connection: Connection, group: asyncio.TaskGroup) -> float:
        """Share the free slots, lease and start; return how many seconds to wait when nothing wakes us."""
        settings, now_s = self._ports.settings, clock.monotonic_s()
        await self._measure(connection, now_s)
        queued = await queue.endpoints_due(connection)
        wait_s = self._ports.wakeup.idle_timeout_s(settings.poll_s)
        waiting: dict[UUID, tuple[QueuedEndpoint, bytes]] = {}
        rooms: dict[UUID, int] = {}
        for endpoint in queued:
            if endpoint.status == "deleted":
                await queue.discard(connection, endpoint.endpoint_id)
            secret = self._secret(endpoint)
            if secret is None:
                continue
            due_in_s, room = self._room(endpoint, now_s)
            if due_in_s > 0:
                wait_s = min(wait_s, due_in_s)
            else:
                waiting[endpoint.endpoint_id] = endpoint, secret
                rooms[endpoint.endpoint_id] = room
        self._ports.metrics.oldest_due_s.set(max((-each.due_in_s for each, _ in waiting.values()), default=0.0))
        shares = share_slots(
            list(waiting), self._held, slots=settings.max_in_flight, per_endpoint=settings.max_in_flight_per_endpoint
        )
        shares = {key: min(count, rooms[key]) for key, count in shares.items()}
        if shares:
            for lease in await queue.lease(connection, shares, clock.new_id(), settings.lease_s):
                self._start(group, lease, *waiting[lease.endpoint_id])
        self._waits_for_slots = bool(waiting)
        return wait_s

    def _room(self, endpoint: QueuedEndpoint, now_s: float) -> tuple[float, int]:
        """Return in how many seconds the endpoint may get attempts, and how many at most (its breaker decides)."""
        breaker = self._breakers.get(endpoint.endpoint_id)
        if breaker is None or endpoint.due_in_s > 0:
            return endpoint.due_in_s, self._ports.settings.max_in_flight_per_endpoint
        in_flight, most = self._held[endpoint.endpoint_id], self._ports.settings.max_in_flight_per_endpoint
        if room := breaker.permits(now_s, in_flight, most):
            return endpoint.due_in_s, room
        open_s = (breaker.probe_due_at() or now_s) - now_s
        # The end of the probe wakes us; the poll is the fallback.
        return open_s if open_s > 0 else self._ports.settings.poll_s, 0

    def _start(self, group: asyncio.TaskGroup, lease: LeasedDelivery, endpoint: QueuedEndpoint, secret: bytes) -> None:
        self._held[lease.endpoint_id] += 1
        self._ports.metrics.in_flight.inc()
        task = group.create_task(self._attempt(lease, endpoint, secret))
        self._attempts.add(task)
        task.add_done_callback(self._attempts.discard)

    async def _attempt(self, lease: LeasedDelivery, endpoint: QueuedEndpoint, secret: bytes) -> None:
        started_at, started_s = clock.now(), clock.monotonic_s()
        if lease.attempt_count == 0:
            self._ports.metrics.first_attempt_s.observe(max(0.0, (started_at - lease.recorded_at).total_seconds()))
        reply = await self._ports.sender.send(
            endpoint.url,
            livemode=endpoint.livemode,
            headers=headers_of(lease, (secret,), started_at),
            body=lease.body,
            now=started_at,
        )
        ended_s = clock.monotonic_s()
        result = conclude(
            lease,
            reply,
            attempt_id=clock.new_id(),
            started_at=started_at,
            latency_ms=round((ended_s - started_s) * 1000),
            jitter=self._ports.random.uniform(-1, 1),
            scale=self._ports.settings.schedule_scale,
        )
        self._breaker(lease.endpoint_id).record(ended_s, succeeded=reply.outcome is AttemptOutcome.DELIVERED)
        self._report(lease, reply, result)
        self._recorder.add(Ended(lease.endpoint_id, result, _SUSPENSIONS.get(VERDICTS[reply.outcome])))

    def _report(self, lease: LeasedDelivery, reply: Reply, result: queue.Result) -> None:
        """Count the attempt and write its one wide line; the URL stays out of it, its query may hold a secret."""
        self._ports.metrics.attempts.labels(result.outcome).inc()
        self._ports.metrics.attempt_s.observe(result.latency_ms / 1000)
        get_logger().info(
            "delivery.attempted",
            delivery_id=str(lease.delivery_id),
            endpoint_id=str(lease.endpoint_id),
            event_id=str(lease.event_id),
            order_id=str(lease.order_id),
            traceparent=lease.traceparent,
            tenant=lease.tenant_id,
            type=lease.event_type,
            attempt=result.attempt,
            outcome=result.outcome,
            status=reply.status,
            detail=reply.detail,
            latency_ms=result.latency_ms,
            state=result.state,
            next_in_s=round(result.delay_s, 3),
        )

    def _free(self, recorded: Sequence[Ended]) -> None:
        """Free the slots of recorded attempts, and lease more if something waits for them."""
        self._held -= Counter(ended.endpoint_id for ended in recorded)  # drops endpoints that hold none
        self._ports.metrics.in_flight.dec(len(recorded))
        if self._waits_for_slots and not self._wake_planned:
            self._wake_planned = True
            asyncio.get_running_loop().call_later(GATHER_S, self._wake)

    def _wake(self) -> None:
        self._wake_planned = False
        self._ports.wakeup.wake()

    def _breaker(self, endpoint_id: UUID) -> Breaker:
        breaker = self._breakers.get(endpoint_id)
        if breaker is None:
            if len(self._breakers) >= _BREAKERS_KEPT:
                self._breakers = {key: each for key, each in self._breakers.items() if not each.is_closed}
            breaker = self._breakers[endpoint_id] = Breaker(self._ports.settings.schedule_scale)
        return breaker

    def _secret(self, endpoint: QueuedEndpoint) -> bytes | None:
        """Return the signing secret of an endpoint that may be called; None when it may not, or cannot, be."""
        if endpoint.status != "enabled" or endpoint.sealed_secret is None:
            self._secrets.forget(endpoint.endpoint_id)
            return None
        return self._secrets.open(endpoint.endpoint_id, endpoint.sealed_secret)

    async def _measure(self, connection: Connection, now_s: float) -> None:
        if now_s >= self._next_depth_s:
            await self._measure_depth(connection, now_s)
        if now_s >= self._next_note_s and not self._secrets.waiting_for():
            self._next_note_s = now_s + NOTE_EVERY_S
            await queue.note_turn(connection, self._secrets.unreadable)

    async def _measure_depth(self, connection: Connection, now_s: float) -> None:
        self._next_depth_s = now_s + DEPTH_EVERY_S
        metrics = self._ports.metrics
        queued, dead = await queue.depth(connection)
        metrics.queued.set(queued)
        metrics.dead.set(dead)
        metrics.breakers_open.set(sum(not each.is_closed for each in self._breakers.values()))
        self._secrets.judge(await queue.newest_secrets(connection))
        metrics.unreadable.set(self._secrets.unreadable)

    async def _drain(self) -> None:
        """Let attempts end; cancel what outlasts the deadline (its lease ends and it is repeated)."""
        if self._attempts:
            _, late = await asyncio.wait(self._attempts, timeout=DRAIN_S)
            for task in late:
                task.cancel()

    def _log(self, reason: NotReadyReason | None, error: Exception | None) -> None:
        if error is not None:
            get_logger().warning("dispatcher.waiting", waiting_for=reason, reason=reason_of(error))
        elif not self._secrets.waiting_for():
            get_logger().info("dispatcher.ready")
