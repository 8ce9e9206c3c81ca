"""What waits for each process, and since when, as the tables show it: a view that needs none of these processes.

A process that is dead, frozen or idle by mistake cannot say so itself. Its position can: it stays behind the log.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from infra.partitioning import partition_of
from infra.postgres.connection import Connection

STANDING_S: Final = 15.0
"""What has waited longer than this is shown as standing."""

RELAY: Final = "relay"
SEE: Final = ": see /readyz and the log"
"""Ends what is known of a backlog, and begins where to look."""

_CHUNK: Final = 2_000
_MOST_CHUNKS: Final = 10

_HEAD: Final = "SELECT last_position FROM harbor.batches WHERE log_id = 0 ORDER BY last_position DESC LIMIT 1"
# $1 position: how long ago the first batch that reaches further was committed
_WAITS_S: Final = """
SELECT extract(epoch FROM clock_timestamp() - committed_at)::float8 FROM harbor.batches
WHERE log_id = 0 AND last_position > $1 ORDER BY last_position LIMIT 1
"""
# $1 topic
_RELAYED: Final = "SELECT low_water FROM harbor.relay_marks WHERE topic = $1"
# Another version of a projection may be left over from before.
_CHECKPOINTS: Final = """
SELECT projection, partition, last_position, applied_count FROM harbor.checkpoints AS c
WHERE version = (SELECT max(version) FROM harbor.checkpoints WHERE projection = c.projection)
ORDER BY projection, partition
"""
# $1 position, $2 limit
_EVENTS: Final = "SELECT position, stream_id FROM harbor.events WHERE position > $1 ORDER BY position LIMIT $2"
# One index step per endpoint that has anything queued, however long its queue is.
_REST: Final = """
WITH RECURSIVE oldest AS (
    (SELECT endpoint_id, created_at FROM harbor.webhook_deliveries
     WHERE state IN ('pending', 'leased') ORDER BY endpoint_id, position LIMIT 1)
    UNION ALL
    SELECT later.endpoint_id, later.created_at
    FROM oldest CROSS JOIN LATERAL (
        SELECT d.endpoint_id, d.created_at FROM harbor.webhook_deliveries d
        WHERE d.state IN ('pending', 'leased') AND d.endpoint_id > oldest.endpoint_id
        ORDER BY d.endpoint_id, d.position LIMIT 1) AS later
)
SELECT clock_timestamp() AS now, undelivered.of_all, undelivered.of_enabled,
    dispatch.last_turn_at AS dispatched_at, dispatch.unreadable_secrets,
    (SELECT attempt_at FROM harbor.timers ORDER BY attempt_at LIMIT 1) AS due_at,
    (SELECT count(DISTINCT (projection, order_id)) FROM (SELECT projection, order_id FROM harbor.dead_letters
        WHERE status = 'parked' LIMIT 10000) AS parked) AS parked_orders
FROM (SELECT min(oldest.created_at) AS of_all, min(oldest.created_at) FILTER (WHERE e.status = 'enabled') AS of_enabled
    FROM oldest JOIN harbor.webhook_endpoints e USING (endpoint_id)) AS undelivered, harbor.webhook_dispatch AS dispatch
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """The events that wait for the relay or a projection (`of`): how many, and of the first one position and age."""

    of: str
    events: int = 0
    first_position: int = 0
    oldest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class OutsideView:
    """One look. Ages are in seconds, 0.0: nothing waits.

    Attributes:
        head: last position of the log.
        backlogs: of the relay (with a broker only) and of each projection.
        undelivered_s: age of the oldest delivery that is still to be made, of all endpoints.
        undelivered_enabled_s: the same, of enabled endpoints only.
        dispatcher_silent_s: since when no dispatcher has looked for due deliveries.
        unreadable_secrets: endpoints whose signing secret no dispatcher could open.
        timer_late_s: since when the timer should have asked an order to expire.
        parked_orders: orders in `dead_letters`, per projection, among the first 10,000 parked events.
    """

    head: int
    backlogs: tuple[Backlog, ...]
    undelivered_s: float
    undelivered_enabled_s: float
    dispatcher_silent_s: float
    unreadable_secrets: int
    timer_late_s: float
    parked_orders: int


async def look(
    connection: Connection, *, topic: str | None, partitions: int, projections: Iterable[str] = ()
) -> OutsideView:
    """Look at every backlog; what that costs does not grow with them.

    Args:
        connection: of a role that may read the tables.
        topic: that the relay fills; None without a broker.
        partitions: of the topic.
        projections: that must exist; others are shown as well.
    """
    projected = await projection_backlogs(connection, partitions, projections)
    relayed = None if topic is None else await connection.fetchval(_RELAYED, topic) or 0
    [rest] = await connection.fetch(_REST)
    now: datetime = rest["now"]
    head = await _head(connection)
    relay = () if relayed is None else (await _waiting(connection, RELAY, head - relayed, relayed),)
    return OutsideView(
        head=head,
        backlogs=(*relay, *projected),
        undelivered_s=_age_s(rest["of_all"], now),
        undelivered_enabled_s=_age_s(rest["of_enabled"], now),
        dispatcher_silent_s=_age_s(rest["dispatched_at"], now),
        unreadable_secrets=rest["unreadable_secrets"],
        timer_late_s=_age_s(rest["due_at"], now),
        parked_orders=rest["parked_orders"],
    )


async def projection_backlogs(
    connection: Connection, partitions: int, projections: Iterable[str] = ()
) -> tuple[Backlog, ...]:
    """Return what waits for each projection; `projections` must exist, others are shown as well."""
    reached: dict[str, dict[int, int]] = {name: {} for name in projections}
    applied: dict[str, int] = dict.fromkeys(reached, 0)
    for each in await connection.fetch(_CHECKPOINTS):
        reached.setdefault(each["projection"], {})[each["partition"]] = each["last_position"]
        applied[each["projection"]] = applied.get(each["projection"], 0) + each["applied_count"]
    # Read after the checkpoints: what was appended in between counts as waiting, and nothing that waits is overlooked.
    head = await _head(connection)
    known: dict[tuple[tuple[int, int], ...], int | None] = {}  # projections usually stand at the same place
    backlogs: list[Backlog] = []
    for name, positions in reached.items():
        place = tuple(positions.items())
        if head > applied[name] and place not in known:
            known[place] = await _applied_before(connection, positions, partitions)
        after = known.get(place)
        backlogs.append(
            await _waiting(connection, name, head - applied[name], applied[name] if after is None else after)
        )
    return tuple(backlogs)


def standing(view: OutsideView, before: OutsideView | None = None) -> dict[str, str]:
    """Return what makes no progress, each with a sentence that says since when and where to look; pure.

    Whatever has moved since the view `before` is catching up and does not stand, however old its events are.
    """
    places = {} if before is None else {each.of: each.first_position for each in before.backlogs if each.events}
    old = [
        each
        for each in view.backlogs
        if each.oldest_s > STANDING_S and each.first_position <= places.get(each.of, each.first_position)
    ]
    unsent = next((each.first_position for each in old if each.of == RELAY), None)
    found = {
        each.of: f"{_events_of(each)}, the first for {each.oldest_s:.0f} s{SEE} of the {_process_of(each)}"
        for each in old
        if each.of == RELAY or unsent is None or each.first_position < unsent  # the others wait for the relay
    }
    # An endpoint that fails waits for long by itself, so that age alone says nothing of the dispatcher.
    if min(view.undelivered_enabled_s, view.dispatcher_silent_s) > STANDING_S:
        found["webhooks"] = (
            f"nobody has looked for due deliveries for {view.dispatcher_silent_s:.0f} s, the oldest waits for "
            f"{view.undelivered_enabled_s:.0f} s{SEE} of the dispatcher"
        )
    if view.unreadable_secrets:
        found["webhooks without a secret"] = (
            f"the dispatcher cannot open the secrets of endpoints, {view.unreadable_secrets} in all, and delivers "
            "nothing to them: does the command service have the same HARBOR_SECURITY__WEBHOOK_SECRETS_KEY?"
        )
    if view.timer_late_s > STANDING_S:
        found["timer"] = f"an order should have expired {view.timer_late_s:.0f} s ago{SEE} of the timer"
    return found


def _events_of(backlog: Backlog) -> str:
    return "1 event waits" if backlog.events == 1 else f"{backlog.events} events wait"


def _process_of(backlog: Backlog) -> str:
    return "relay" if backlog.of == RELAY else "workers"


async def _applied_before(connection: Connection, positions: Mapping[int, int], partitions: int) -> int | None:
    """Return the position before the first event that its own partition has not reached; None: not found."""
    after = min(positions.get(partition, 0) for partition in range(partitions))
    for _ in range(_MOST_CHUNKS):
        rows: Sequence[asyncpg.Record] = await connection.fetch(_EVENTS, after, _CHUNK)
        for position, stream_id in rows:
            if position > positions.get(partition_of(stream_id, partitions), 0):
                return int(position) - 1
        if len(rows) < _CHUNK:
            return None
        after = rows[-1]["position"]
    return None


async def _head(connection: Connection) -> int:
    head: int = await connection.fetchval(_HEAD) or 0
    return head


async def _waiting(connection: Connection, of: str, events: int, after: int) -> Backlog:
    """Return the backlog of so many events, the first of which comes next after a position."""
    if events <= 0:
        return Backlog(of)
    waits_s: float = await connection.fetchval(_WAITS_S, after) or 0.0
    return Backlog(of, events, after + 1, max(0.0, waits_s))


def _age_s(at: datetime | None, now: datetime) -> float:
    return 0.0 if at is None else max(0.0, (now - at).total_seconds())
