"""The checker: what clients saw and what every store holds, in; named anomalies, out. Pure.

*ok* is an answer 2xx, *fail* a definite 4xx, *unknown* a timeout, a reset or a 5xx. Nothing here knows how the
history was made: the demo and the fault tests both collect a `History` and expect `check` to give no anomaly.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

RECEIVED = range(200, 300)


class Outcome(StrEnum):
    """What a client knows about one request."""

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer to one request; several replies may share an idempotency key."""

    key: str
    outcome: Outcome
    order_id: str | None = None
    version: int = 0
    digest: str = ""
    creates: bool = False


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """One row of the event store."""

    position: int
    order_id: str
    version: int
    event_id: str
    digest: str
    to_status: str
    total_minor: int


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """One record of the topic."""

    partition: int
    offset: int
    position: int
    order_id: str
    sequence: int
    event_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One order as the query side shows it."""

    order_id: str
    version: int
    status: str
    total_minor: int


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One timeline entry as the query side shows it."""

    order_id: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """One webhook request that arrived, and what the receiver answered (0: it never answered)."""

    webhook_id: str
    digest: str
    verified: bool
    answered: int


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One broken promise."""

    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class History:
    """Everything collected after the system came to rest. `None` means: not looked at in this run."""

    replies: Sequence[Reply]
    store: Sequence[StoreEvent]
    topic: Sequence[TopicRecord] | None = None
    orders: Sequence[OrderRow] | None = None
    timeline: Sequence[TimelineRow] | None = None
    receipts: Sequence[Receipt] | None = None
    dead_letters: frozenset[str] = field(default_factory=frozenset)
    whole_log: bool = False


def check(history: History) -> list[Anomaly]:
    """Return every anomaly found, in the order of the promises; none means that every promise held."""
    return [
        *_acknowledgements(history),
        *_keys(history.replies),
        *_streams(history),
        *([] if history.topic is None else _topic(history.store, history.topic)),
        *([] if history.orders is None else _orders(history.store, history.orders)),
        *([] if history.timeline is None else _timeline(history.store, history.timeline)),
        *([] if history.receipts is None else _webhooks(history.store, history.receipts, history.dead_letters)),
    ]


def _acknowledgements(history: History) -> Iterator[Anomaly]:
    """P1 and P2: what was acknowledged is stored; what was refused or never asked for is not."""
    versions: dict[str, int] = defaultdict(int)
    for event in history.store:
        versions[event.order_id] = max(versions[event.order_id], event.version)
    known_keys: dict[str, Outcome] = {}
    for reply in history.replies:
        if reply.outcome is Outcome.OK and reply.order_id is not None:
            stored = versions.get(reply.order_id, 0)
            if stored < reply.version:
                yield Anomaly("lost-ack", f"order {reply.order_id}: acknowledged {reply.version}, stored {stored}")
        if reply.creates and known_keys.get(reply.key) is not Outcome.OK:
            known_keys[reply.key] = reply.outcome
    created = {reply.order_id for reply in history.replies if reply.creates and reply.outcome is Outcome.OK}
    open_keys = sum(1 for outcome in known_keys.values() if outcome is Outcome.UNKNOWN)
    extra = set(versions) - created
    if len(extra) > open_keys:
        sample = ", ".join(sorted(extra)[:3])
        yield Anomaly("phantom", f"{len(extra)} orders nobody was told of, {open_keys} unknown requests: {sample}")


def _keys(replies: Iterable[Reply]) -> Iterator[Anomaly]:
    """P13: one key, one order, one answer."""
    orders: dict[str, set[str]] = defaultdict(set)
    bodies: dict[str, set[str]] = defaultdict(set)
    for reply in replies:
        if reply.outcome is Outcome.OK and reply.order_id is not None:
            orders[reply.key].add(reply.order_id)
        if reply.outcome is not Outcome.UNKNOWN and reply.digest:
            bodies[reply.key].add(reply.digest)
    for key, ids in orders.items():
        if len(ids) > 1:
            yield Anomaly("duplicate-order", f"key {key} made {len(ids)} orders")
    for key, digests in bodies.items():
        if len(digests) > 1:
            yield Anomaly("key-divergence", f"key {key} got {len(digests)} different answers")


def _streams(history: History) -> Iterator[Anomaly]:
    """P4 and P5: versions 1..n per order in position order; positions without a hole over the whole log."""
    ordered = sorted(history.store, key=lambda event: event.position)
    if list(history.store) != ordered:
        yield Anomaly("reordered-stream", "the log was not read in position order")
    last: dict[str, int] = defaultdict(int)
    for event in ordered:
        if event.version != last[event.order_id] + 1:
            yield Anomaly("version-gap", f"order {event.order_id}: {event.version} after {last[event.order_id]}")
        last[event.order_id] = event.version
    for event_id, count in Counter(event.event_id for event in ordered).items():
        if count > 1:
            yield Anomaly("double-effect", f"event {event_id} stored {count} times")
    if history.whole_log:
        for expected, event in enumerate(ordered, start=1):
            if event.position != expected:
                yield Anomaly("skipped-by-reader", f"position {expected} is missing")
                return


def _topic(store: Sequence[StoreEvent], topic: Sequence[TopicRecord]) -> Iterator[Anomaly]:
    """P6: the same events; first occurrences in order; repeats byte-identical."""
    stored = {event.event_id: event for event in store}
    seen: dict[str, TopicRecord] = {}
    sequence: dict[str, int] = defaultdict(int)
    for record in sorted(topic, key=lambda item: (item.partition, item.offset)):
        event = stored.get(record.event_id)
        if event is None:
            yield Anomaly("diverging-topic", f"event {record.event_id} is on the topic and not in the store")
            continue
        if (record.digest, record.position) != (event.digest, event.position):
            yield Anomaly("diverging-topic", f"event {record.event_id} differs between topic and store")
        if record.event_id in seen:
            continue
        seen[record.event_id] = record
        if record.sequence != sequence[record.order_id] + 1:
            yield Anomaly("reordered-stream", f"order {record.order_id}: {record.sequence} on the topic too early")
        sequence[record.order_id] = record.sequence
    for event_id in stored.keys() - seen.keys():
        yield Anomaly("diverging-topic", f"event {event_id} (position {stored[event_id].position}) never relayed")


def _orders(store: Sequence[StoreEvent], rows: Sequence[OrderRow]) -> Iterator[Anomaly]:
    """P8: each row equals the fold of its events."""
    fold: dict[str, OrderRow] = {}
    for event in sorted(store, key=lambda item: item.position):
        fold[event.order_id] = OrderRow(event.order_id, event.version, event.to_status, event.total_minor)
    shown = {row.order_id: row for row in rows}
    for order_id, count in Counter(row.order_id for row in rows).items():
        if count > 1:
            yield Anomaly("double-effect", f"order {order_id} is shown {count} times")
    for order_id, expected in fold.items():
        row = shown.get(order_id)
        if row is None:
            yield Anomaly("missing-effect", f"order {order_id} is not in the read model")
        elif row != expected:
            kind = "double-effect" if row.version > expected.version else "missing-effect"
            yield Anomaly(kind, f"order {order_id}: shown {row}, folded {expected}")
    for order_id in shown.keys() - fold.keys():
        yield Anomaly("double-effect", f"order {order_id} is in the read model and not in the store")


def _timeline(store: Sequence[StoreEvent], rows: Sequence[TimelineRow]) -> Iterator[Anomaly]:
    """P8: one entry per event."""
    expected = Counter((event.order_id, event.version) for event in store)
    shown = Counter((row.order_id, row.sequence) for row in rows)
    for entry, count in (shown - expected).items():
        yield Anomaly("double-effect", f"timeline entry {entry} appears {count} times too often")
    for entry in expected - shown:
        yield Anomaly("missing-effect", f"timeline entry {entry} is missing")


def _webhooks(store: Sequence[StoreEvent], receipts: Sequence[Receipt], dead: frozenset[str]) -> Iterator[Anomaly]:
    """P11: each event was answered 2xx or is a visible dead letter; same id, same bytes, valid signature."""
    stored = {event.event_id for event in store}
    delivered = {receipt.webhook_id for receipt in receipts if receipt.answered in RECEIVED}
    digests: dict[str, set[str]] = defaultdict(set)
    for receipt in receipts:
        digests[receipt.webhook_id].add(receipt.digest)
        if not receipt.verified:
            yield Anomaly("bad-signature", f"webhook {receipt.webhook_id} does not verify")
    for event_id in stored - delivered - dead:
        yield Anomaly("lost-webhook", f"event {event_id} was neither delivered nor given up visibly")
    for event_id in delivered - stored:
        yield Anomaly("double-effect", f"webhook {event_id} tells of an event that does not exist")
    for webhook_id, bodies in digests.items():
        if len(bodies) > 1:
            yield Anomaly("diverging-webhook", f"webhook {webhook_id} came with {len(bodies)} different bodies")
