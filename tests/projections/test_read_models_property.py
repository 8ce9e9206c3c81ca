"""Any accepted history, applied in any split into batches, gives exactly the rows of a fold."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import DomainError
from domain.order.commands import CreateOrder, OrderCommand
from domain.order.envelope import RecordedOrderEvent
from domain.order.state import OrderState, fold
from infra.tenancy import Tenant
from projections.projection import LogRecord
from projections.read_models import order_timeline, orders
from projections.read_models.order_timeline import OrderTimelineProjection
from projections.read_models.orders import OrdersProjection
from tests.support.orders.builders import NOW, record_decision, stored, verb_command
from tests.support.orders.strategies import create_order_commands
from tests.support.services.servers import Database

_VERBS = (
    "amend", "details", "note", "authorize", "capture", "capture_some", "capture_last", "void", "cancel", "refund_some",
    "settle_some", "expire",
)  # fmt: skip


def history_of(create: CreateOrder, verbs: Sequence[str]) -> list[RecordedOrderEvent]:
    """Return what is left of an order's life: verbs that are refused leave nothing."""
    commands: list[OrderCommand] = [create]
    commands += [verb_command(verb, create.order_id, create.now + timedelta(seconds=n)) for n, verb in enumerate(verbs)]
    state: OrderState | None = None
    history: list[RecordedOrderEvent] = []
    for command in commands:
        try:
            recorded = record_decision(command, state)
        except DomainError:
            continue
        state = fold(state, recorded)
        history += recorded
    return history


@st.composite
def logs(draw: st.DrawFn) -> list[LogRecord]:
    """Draw a log of up to five orders, their events interleaved as they may have been appended."""
    waiting = [
        history_of(draw(create_order_commands()), draw(st.lists(st.sampled_from(_VERBS), max_size=8)))
        for _ in range(draw(st.integers(1, 5)))
    ]
    log: list[LogRecord] = []
    while any(waiting):
        chosen = draw(st.sampled_from([history for history in waiting if history]))
        log.append(log_record(chosen.pop(0), len(log) + 1))
    return log


def log_record(recorded: RecordedOrderEvent, position: int) -> LogRecord:
    kept, envelope = stored(recorded), recorded.envelope
    return LogRecord(
        position=position,
        partition=0,
        tenant_id=Tenant(envelope.partner_id, envelope.livemode).id,
        order_id=envelope.order_id,
        sequence=envelope.sequence,
        type=kept.type,
        schema_version=kept.schema_version,
        event_id=envelope.event_id,
        recorded_at=NOW,
        payload=kept.payload,
    )


@st.composite
def batches_of_logs(draw: st.DrawFn) -> list[list[LogRecord]]:
    """Draw a log cut into batches at any places."""
    log = draw(logs())
    cuts = sorted(draw(st.sets(st.integers(1, len(log)))) | {0, len(log)})
    return [log[start:end] for start, end in pairwise(cuts)]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(batches=batches_of_logs())
async def test_rows_do_not_depend_on_how_the_log_was_cut_into_batches(
    database: Database, batches: list[list[LogRecord]]
) -> None:
    log = [record for batch in batches for record in batch]
    connection = await asyncpg.connect(database.worker_url)
    try:
        for batch in batches:
            async with connection.transaction():
                await OrdersProjection().apply(connection, batch)
                await OrderTimelineProjection().apply(connection, batch)
        order_ids = list({record.order_id for record in log})
        order_rows = await connection.fetch(
            f"SELECT {', '.join(orders.COLUMNS)} FROM harbor_read.orders_v1 WHERE order_id = ANY($1)", order_ids
        )
        timeline_rows = await connection.fetch(
            "SELECT order_id, sequence, position FROM harbor_read.order_timeline_v1 WHERE order_id = ANY($1)", order_ids
        )
    finally:
        await connection.close()

    expected = [orders.row_of(state, last) for state, last in orders.fold({}, log).values()]
    assert {tuple(row.values()) for row in order_rows} == set(expected)
    assert {tuple(row.values()) for row in timeline_rows} == {
        (record.order_id, record.sequence, record.position) for record in log
    }


@settings(max_examples=20)
@given(log=logs())
def test_the_timeline_shows_every_event_and_no_personal_data(log: list[LogRecord]) -> None:
    rows = [order_timeline.row_of(record) for record in log]

    assert [(row.order_id, row.sequence) for row in rows] == [(record.order_id, record.sequence) for record in log]
    assert not any("@" in row.changes and "customer_email" in row.changes for row in rows)
    assert not any("personal" in row.changes for row in rows)


@settings(max_examples=20)
@given(batches=batches_of_logs())
def test_a_repeated_batch_changes_nothing(batches: list[list[LogRecord]]) -> None:
    states: dict[UUID, OrderState] = {}
    for batch in batches:
        orders.fold(states, batch)
        assert orders.fold(states, batch) == {}
