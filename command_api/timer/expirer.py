"""Follows the log to know when orders are due, and sends each due order the command to expire; safe to repeat.

The idempotency key of each command is made of the order and its due time, so that two instances and any restart expire
an order once (decision 0046). Whether an order really expires is decided against its state when the command is handled:
one that was captured a moment before stays captured.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from command_api.handling.appends import Caller
from command_api.handling.handle import WritePath, handle
from command_api.handling.idempotency import fingerprint
from command_api.timer.due import timer_changes
from command_api.timer.metrics import ExpiryMetrics
from domain.instants import instant_text
from domain.order.commands import Expire
from domain.order.ids import OrderId
from infra.clock import monotonic_s
from infra.event_store.protocol import EventStore, EventStoreError, LogCorruptError
from infra.observability.health import NotReadyReason
from infra.observability.logs import get_logger
from infra.observability.reasons import reason_of
from infra.postgres.failures import ANY_DATABASE_ERROR, NO_CONNECTION_LEFT
from infra.postgres.timers import Timer, Timers
from infra.retry_loop import Cause, RetryLoop
from infra.settings import ExpirySettings
from infra.tenancy import Tenant

_ACTOR: Final = "expiry"
_METHOD: Final = "EXPIRE"
_MOST_READS: Final = 20
"""Reads of the log in one turn, at most: due orders must not wait until a long log is read."""


class Outcome(StrEnum):
    """How the expiry of one due order ended."""

    DONE = "done"
    REPLAYED = "replayed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn did; `is_behind`: there is more to do now."""

    events: int
    outcomes: Counter[Outcome]
    is_behind: bool


class Expirer:
    """One timer process. `timers` returns them or raises `PoolNotOpenError`; `writes` handles the commands."""

    def __init__(
        self,
        timers: Callable[[], Timers],
        store: EventStore,
        writes: WritePath,
        settings: ExpirySettings,
        metrics: ExpiryMetrics,
    ) -> None:
        self._timers = timers
        self._store = store
        self._writes = writes
        self._settings = settings
        self._metrics = metrics
        self._loop = RetryLoop(
            (
                Cause(LogCorruptError, "log_corrupt", each_message=True),
                NO_CONNECTION_LEFT,
                Cause((EventStoreError, *ANY_DATABASE_ERROR), "database_unreachable"),
            ),
            _log,
            (settings.poll_s,),
        )

    def waiting_for(self) -> tuple[NotReadyReason, ...]:
        """Return why the last turn failed; nothing when it did not."""
        return self._loop.waiting_for()

    async def run(self, stop: asyncio.Event) -> None:
        """Run turns until `stop` is set; the one under way is finished."""
        await self._loop.run(self._step, stop)

    async def _step(self) -> float:
        return 0 if (await self.turn()).is_behind else self._settings.poll_s

    async def turn(self) -> Turn:
        """Follow the log for a while, then expire one batch of due orders.

        Raises:
            EventStoreError or one of `ANY_DATABASE_ERROR`: what was not done is done in the next turn.
        """
        started_s = monotonic_s()
        timers = self._timers()
        events, is_behind = await self._follow(timers)
        due = await timers.due(self._writes.now(), self._settings.batch)
        outcomes = await self._expire(timers, due)
        if due:
            get_logger().info(
                "expiry.turn",
                events=events,
                due=len(due),
                **{outcome.value: outcomes[outcome] for outcome in Outcome},
                duration_ms=round((monotonic_s() - started_s) * 1000, 1),
            )
        return Turn(events, outcomes, is_behind or len(due) == self._settings.batch)

    async def _follow(self, timers: Timers) -> tuple[int, bool]:
        """Return how many events were read, and whether there are more."""
        read, limit = 0, self._settings.log_batch
        for _ in range(_MOST_READS):
            seen = await timers.position()
            events = await self._store.read_all(seen, limit)
            if events:
                upto = events[-1].position
                if await timers.follow(seen, upto, timer_changes(events)):
                    read += len(events)
                    self._metrics.position.set(upto)
            if len(events) < limit:
                return read, False
        return read, True

    async def _expire(self, timers: Timers, due: list[Timer]) -> Counter[Outcome]:
        now = self._writes.now()
        if due:
            self._metrics.late_s.set(max((now - min(timer.due_at for timer in due)).total_seconds(), 0))
        results = await asyncio.gather(*(self._expire_one(timer, now) for timer in due), return_exceptions=True)
        ended = [(timer, each) for timer, each in zip(due, results, strict=True) if isinstance(each, Outcome)]
        await timers.done([timer for timer, outcome in ended if outcome is not Outcome.FAILED])
        failed = [timer for timer, outcome in ended if outcome is Outcome.FAILED]
        await timers.postpone(failed, now + timedelta(seconds=self._settings.retry_s))
        for result in results:
            if isinstance(result, BaseException):
                raise result
        outcomes = Counter(outcome for _, outcome in ended)
        for outcome, count in outcomes.items():
            self._metrics.commands.labels(outcome.value).inc(count)
        return outcomes

    async def _expire_one(self, timer: Timer, now: datetime) -> Outcome:
        """Expire one order as of the time that found it due: a clock that was set back must not keep it open."""
        order_id, due = OrderId(timer.stream_id), instant_text(timer.due_at)
        path = f"/orders/{order_id}"
        caller = Caller(
            tenant=Tenant.parse(timer.tenant_id),
            key_id="",
            # The space keeps it apart from every key that a partner can send.
            idempotency_key=f"system expire:{order_id}:{due}",
            fingerprint=fingerprint(_METHOD, path, due.encode()),
            path=path,
            request_id=f"expire-{order_id}",
            traceparent=None,
            system=_ACTOR,
        )
        try:
            response = await handle(self._writes, caller, lambda _now: Expire(order_id, now), status=200)
        except (EventStoreError, *ANY_DATABASE_ERROR):
            raise
        except Exception as error:  # noqa: BLE001  # whatever is wrong with one order must not stop the others
            get_logger().warning("expiry.order_failed", order_id=str(order_id), error=type(error).__name__)
            return Outcome.FAILED
        return Outcome.REPLAYED if response.replayed else Outcome.DONE


def _log(reason: NotReadyReason | None, error: Exception | None) -> None:
    if error is not None:
        get_logger().warning("expiry.waiting", waiting_for=reason, reason=reason_of(error))
