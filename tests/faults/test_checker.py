"""The checker finds every planted bug, and nothing in a history without one."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.faults.checker import (
    History,
    OrderRow,
    Outcome,
    Receipt,
    Reply,
    StoreEvent,
    TimelineRow,
    TopicRecord,
    check,
)

HEALTHY = History(
    replies=(
        Reply("k1", Outcome.OK, "A", 1, "d1", creates=True),
        Reply("k2", Outcome.OK, "B", 1, "d2", creates=True),
        Reply("k3", Outcome.OK, "A", 2, "d3"),
    ),
    store=(
        StoreEvent(1, "A", 1, "e1", "x1", "pending", 100),
        StoreEvent(2, "B", 1, "e2", "x2", "pending", 200),
        StoreEvent(3, "A", 2, "e3", "x3", "authorized", 100),
    ),
    topic=(
        TopicRecord(0, 0, 1, "A", 1, "e1", "x1"),
        TopicRecord(0, 1, 3, "A", 2, "e3", "x3"),
        TopicRecord(1, 0, 2, "B", 1, "e2", "x2"),
    ),
    orders=(OrderRow("A", 2, "authorized", 100), OrderRow("B", 1, "pending", 200)),
    timeline=(TimelineRow("A", 1), TimelineRow("B", 1), TimelineRow("A", 2)),
    receipts=tuple(Receipt(f"e{n}", f"b{n}", verified=True, answered=204) for n in (1, 2, 3)),
    whole_log=True,
)


def healthy_store() -> tuple[StoreEvent, ...]:
    return tuple(HEALTHY.store)


PLANTED: dict[str, tuple[str, Callable[[History], History]]] = {
    "an acknowledged order that is not stored": (
        "lost-ack",
        lambda h: replace(h, replies=(*h.replies, Reply("k9", Outcome.OK, "Z", 1, "d", creates=True))),
    ),
    "an acknowledged change that is not stored": (
        "lost-ack",
        lambda h: replace(h, replies=(*h.replies, Reply("k9", Outcome.OK, "B", 2, "d"))),
    ),
    "a refused request that left an order": (
        "phantom",
        lambda h: replace(h, replies=(h.replies[0], Reply("k2", Outcome.FAIL, creates=True), h.replies[2])),
    ),
    "check-then-insert idempotency: two orders of one key": (
        "duplicate-order",
        lambda h: replace(h, replies=(*h.replies, Reply("k1", Outcome.OK, "B", 1, "d1", creates=True))),
    ),
    "a replay with another body": (
        "key-divergence",
        lambda h: replace(h, replies=(*h.replies, Reply("k1", Outcome.OK, "A", 1, "other", creates=True))),
    ),
    "a version left out": (
        "version-gap",
        lambda h: replace(h, store=(*healthy_store()[:2], replace(healthy_store()[2], version=3))),
    ),
    "a reader that polls id > last and skips a late commit": (
        "skipped-by-reader",
        lambda h: replace(h, store=(healthy_store()[0], healthy_store()[2])),
    ),
    "a cursor saved before the ack: an event never relayed": (
        "diverging-topic",
        lambda h: replace(h, topic=(h.topic or ())[1:]),
    ),
    "two relays that interleave": (
        "reordered-stream",
        lambda h: replace(
            h,
            topic=(
                TopicRecord(0, 0, 3, "A", 2, "e3", "x3"),
                TopicRecord(0, 1, 1, "A", 1, "e1", "x1"),
                TopicRecord(1, 0, 2, "B", 1, "e2", "x2"),
            ),
        ),
    ),
    "a repeat with other bytes": (
        "diverging-topic",
        lambda h: replace(h, topic=(*(h.topic or ()), TopicRecord(1, 1, 2, "B", 1, "e2", "changed"))),
    ),
    "an offset committed before the read model": (
        "missing-effect",
        lambda h: replace(h, orders=(OrderRow("A", 1, "pending", 100), OrderRow("B", 1, "pending", 200))),
    ),
    "a projector without its guard: an event counted twice": (
        "double-effect",
        lambda h: replace(h, timeline=(*(h.timeline or ()), TimelineRow("A", 1))),
    ),
    "a webhook row deleted before the 2xx": (
        "lost-webhook",
        lambda h: replace(h, receipts=(*(h.receipts or ())[:2], Receipt("e3", "b3", verified=True, answered=500))),
    ),
    "a new id per attempt": (
        "double-effect",
        lambda h: replace(h, receipts=(*(h.receipts or ()), Receipt("e3-2", "b3", verified=True, answered=204))),
    ),
    "other bytes in the second attempt": (
        "diverging-webhook",
        lambda h: replace(h, receipts=(*(h.receipts or ()), Receipt("e3", "changed", verified=True, answered=204))),
    ),
    "a signature that does not verify": (
        "bad-signature",
        lambda h: replace(h, receipts=(*(h.receipts or ()), Receipt("e3", "b3", verified=False, answered=204))),
    ),
}


def test_a_history_in_which_every_promise_held_has_no_anomaly() -> None:
    assert check(HEALTHY) == []


def test_repeats_on_the_topic_and_repeated_attempts_are_no_anomaly() -> None:
    repeated = replace(
        HEALTHY,
        topic=(*(HEALTHY.topic or ()), TopicRecord(1, 1, 2, "B", 1, "e2", "x2")),
        receipts=(*(HEALTHY.receipts or ()), Receipt("e3", "b3", verified=True, answered=204)),
    )
    assert check(repeated) == []


def test_an_unknown_request_may_have_left_one_order() -> None:
    unknown = replace(
        HEALTHY, replies=(HEALTHY.replies[0], Reply("k2", Outcome.UNKNOWN, creates=True), HEALTHY.replies[2])
    )
    assert check(unknown) == []


def test_an_event_that_was_given_up_visibly_is_not_lost() -> None:
    given_up = replace(HEALTHY, receipts=(HEALTHY.receipts or ())[:2], dead_letters=frozenset({"e3"}))
    assert check(given_up) == []


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found_by_its_name(bug: str) -> None:
    name, plant = PLANTED[bug]
    assert name in {anomaly.name for anomaly in check(plant(HEALTHY))}
