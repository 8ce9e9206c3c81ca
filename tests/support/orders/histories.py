"""Random histories of orders, fast: pure functions, one random generator, no shrinking, a hundred thousand at a time.

Everything that can be asked of an order is asked, allowed or not, with amounts around every limit. A second ledger is
kept by adding up what the events say; after each event it must agree with the order.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Final, Literal

from domain.money import amount_text, currency
from domain.order.commands import (
    AddLine,
    AddNote,
    AmendLines,
    Authorize,
    Cancel,
    Capture,
    CreateOrder,
    Expire,
    LineAmendment,
    LineShare,
    NewLine,
    OrderCommand,
    Refund,
    RemoveLine,
    SetPrice,
    SetQuantity,
    SetStatus,
    Settle,
    UpdateDetails,
    Void,
)
from domain.order.decide import decide
from domain.order.due import status_at
from domain.order.envelope import Actor, Envelope, RecordedOrderEvent
from domain.order.errors import AmountError, InvalidCommandError, OrderError, TransitionError
from domain.order.events import (
    OrderAmended,
    OrderAuthorizationReleased,
    OrderAuthorized,
    OrderCanceled,
    OrderCaptured,
    OrderEvent,
    OrderExpired,
    OrderRefunded,
    OrderSettlementRecorded,
)
from domain.order.ledger import Ledger
from domain.order.state import OrderState, evolve, fold
from domain.order.status import Status
from domain.order.transitions import MATRIX, allowed_transitions
from tests.support.orders.builders import NOW, new_order_id

_CURRENCIES: Final = tuple(currency(code) for code in ("EUR", "JPY", "KWD", "CLF"))
_ACTOR: Final = Actor(type="api_key", id="acme", key_id="k3y00001")
_VALUE_DATE: Final = date(2026, 11, 25)
_VERBS: Final = (
    "amend", "details", "note", "authorize", "authorize", "capture", "capture", "capture_lines", "void", "cancel",
    "refund", "refund", "settle", "settle", "set_status", "expire", "wait",
)  # fmt: skip


@dataclass(slots=True)
class Tally:
    """What a run of histories went through."""

    histories: int = 0
    events: int = 0
    refusals: int = 0
    moves: set[tuple[Status | None, Status]] = field(default_factory=set)
    refused_by: set[str] = field(default_factory=set)


def run_histories(seed: int, count: int, tally: Tally) -> None:
    """Go through `count` histories; the same seed gives the same ones.

    Raises:
        AssertionError: an invariant does not hold, `decide` gave what `evolve` refuses, or a fold from zero differs.
    """
    for number in range(count):
        _run_history(Random(seed * 1_000_003 + number), tally)  # noqa: S311  # nothing secret


def _run_history(random: Random, tally: Tally) -> None:
    create = _create(random)
    now = NOW
    state: OrderState | None = None
    history: list[RecordedOrderEvent] = []
    shadow = [0, 0, 0, 0, 0, 0]
    command: OrderCommand = create
    for _ in range(random.randint(2, 14)):
        try:
            events = decide(command, state)
        except (TransitionError, AmountError, InvalidCommandError) as refused:
            tally.refusals += 1
            tally.refused_by.add(refused.code)
            assert state is not None, "the first command is acceptable"
            _check_refusal(refused, state, now)
            events = ()
        for event in events:
            before = state
            if before is not None and isinstance(event, OrderAuthorized | OrderCaptured):
                assert now < (before.auth_expires_at or before.expires_at), "time ran out"
            recorded = RecordedOrderEvent(event, _envelope(create, len(history) + 1, now))
            state = evolve(before, recorded)
            history.append(recorded)
            _add_up(shadow, event)
            _check(state, shadow, before, event)
            tally.moves.add((event.from_status, event.to_status))
        assert state is not None
        now += timedelta(seconds=1) if random.random() < 0.9 else timedelta(days=random.randint(1, 8))
        command = _ask(random, state, now)
    assert fold(None, history) == state
    tally.histories += 1
    tally.events += len(history)


def _check(state: OrderState, shadow: list[int], before: OrderState | None, event: OrderEvent) -> None:
    ledger, status = state.ledger, state.status
    total, authorized, captured, released, refunded, settled = ledger
    assert [*ledger] == shadow, "the ledger is the sum of its events"
    assert total == sum(line.quantity * line.unit_price_minor for line in state.lines) <= 10**15
    assert 1 <= len(state.lines) <= 1000
    assert all(1 <= line.quantity <= 999 and line.captured_quantity <= line.quantity for line in state.lines)
    assert len({line.line_id for line in state.lines}) == len(state.lines)
    assert max(line.line_id for line in state.lines) <= state.last_line_id
    assert authorized in {0, total}
    assert min(captured, released, refunded, settled) >= 0
    assert captured + released <= authorized
    assert refunded <= captured
    assert settled <= captured
    assert status is _status_by_definition(ledger, state)
    assert event.to_status is status
    if before is None:
        return
    assert event.from_status is before.status
    assert state.version == before.version + 1
    assert (state.order_id, state.partner_id, state.livemode, state.currency) == (*before[:3], before.currency)
    assert before.external_reference in {None, state.external_reference}
    if before.ledger.authorized_minor:
        assert [line[:4] for line in state.lines] == [line[:4] for line in before.lines], "no line changes once A > 0"
    if before.status is not status:
        assert any(isinstance(cell, tuple) and status in cell for cell in MATRIX[before.status].values())


def _status_by_definition(ledger: Ledger, state: OrderState) -> Status:
    capturable = ledger.authorized_minor - ledger.captured_minor - ledger.released_minor
    if state.canceled_at or state.expired_at:
        assert (ledger.captured_minor, capturable) == (0, 0)
        return Status.CANCELED if state.canceled_at else Status.EXPIRED
    if ledger.authorized_minor == 0:
        return Status.PENDING
    if ledger.captured_minor == 0:
        return Status.AUTHORIZED
    if capturable > 0:
        return Status.PARTIALLY_CAPTURED
    return Status.SETTLED if ledger.settled_minor == ledger.captured_minor else Status.CAPTURED


def _add_up(shadow: list[int], event: OrderEvent) -> None:
    """Add what an event says to T, A, C, V, R, S."""
    match event:
        case OrderAuthorized():
            shadow[1] += event.amount_minor
        case OrderCaptured():
            shadow[2] += event.amount_minor
        case OrderAuthorizationReleased() | OrderCanceled() | OrderExpired():
            shadow[3] += event.released_minor
        case OrderRefunded():
            shadow[4] += event.amount_minor
        case OrderSettlementRecorded():
            assert event.gross_minor == event.fee_minor + event.net_minor
            shadow[5] += event.gross_minor
        case OrderAmended():
            shadow[0] = sum(line.total_minor for line in event.lines)
    if event.from_status is None:
        shadow[0] = event.totals.total_minor


def _check_refusal(refused: OrderError, state: OrderState, now: datetime) -> None:
    if isinstance(refused, TransitionError):
        status = status_at(state, now)
        assert (refused.current_status, refused.current_version) == (status, state.version)
        assert refused.allowed_transitions == allowed_transitions(status)
    if isinstance(refused, AmountError):
        assert refused.current_version == state.version


def _create(random: Random) -> CreateOrder:
    lines = tuple(
        NewLine(f"SKU-{number}", random.choice((1, 2, 3, 999)), random.choice((1, 7, 100, 1999, 10**11)))
        for number in range(random.randint(1, 3))
    )
    return CreateOrder(
        order_id=new_order_id(),
        partner_id="acme",
        livemode=random.random() < 0.5,
        currency=random.choice(_CURRENCIES),
        customer_email="buyer@example.com",
        lines=lines,
        external_reference=random.choice((None, "PO-1")),
        metadata={},
        now=NOW,
    )


def _ask(random: Random, state: OrderState, now: datetime) -> OrderCommand:  # noqa: C901, PLR0911, PLR0912  # one each
    order_id, ledger = state.order_id, state.ledger
    match random.choice(_VERBS):
        case "amend":
            return AmendLines(order_id, _changes(random, state), None, now)
        case "details":
            email = random.choice((None, "other@example.com", state.customer_email))
            reference = random.choice((None, "PO-1", "PO-2"))
            return UpdateDetails(order_id, email, reference, random.choice((None, {}, {"a": "b"})), now)
        case "note":
            visibility: Literal["internal", "partner"] = random.choice(("internal", "partner"))
            return AddNote(order_id, "call first", visibility, now)
        case "authorize":
            return Authorize(order_id, now)
        case "capture":
            amount = _amount(random, state, ledger.capturable_minor)
            return Capture(order_id, now, amount, final=random.random() < 0.3)
        case "capture_lines":
            shares = tuple(
                LineShare(line.line_id, random.randint(1, 3)) for line in state.lines[: random.randint(1, 2)]
            )
            return Capture(order_id, now, None, shares, final=random.random() < 0.3)
        case "void":
            return Void(order_id, None, now)
        case "cancel":
            return Cancel(order_id, "ordered twice", now)
        case "refund":
            return Refund(order_id, _amount(random, state, ledger.refundable_minor), None, now)
        case "settle":
            gross = _minor(random, ledger.unsettled_minor)
            fee = random.choice((0, gross // 50, gross))
            net = gross - fee + (random.random() < 0.05)
            text = [amount_text(minor, state.currency) for minor in (gross, fee, net)]
            return Settle(order_id, text[0], text[1], text[2], _VALUE_DATE, None, now)
        case "set_status":
            return SetStatus(order_id, random.choice(tuple(Status)), None, now)
        case "wait":
            return Expire(order_id, now + timedelta(days=8))
        case _:
            return Expire(order_id, now)


def _minor(random: Random, limit: int) -> int:
    return random.choice((0, 1, limit // 2, limit - 1 if limit > 1 else 1, limit, limit, limit + 1))


def _amount(random: Random, state: OrderState, limit: int) -> str | None:
    return None if random.random() < 0.2 else amount_text(_minor(random, limit), state.currency)


def _changes(random: Random, state: OrderState) -> tuple[LineAmendment, ...]:
    changes: list[LineAmendment] = []
    for _ in range(random.randint(1, 3)):
        line_id = random.randint(1, state.last_line_id + 1)
        changes.append(
            random.choice(
                (
                    AddLine("EXTRA", random.choice((1, 5)), "3"),
                    AddLine("EXTRA", 1, random.choice(("0", "1000000000", "2.5"))),
                    RemoveLine(line_id),
                    SetQuantity(line_id, random.choice((1, 4, 999, 1000))),
                    SetPrice(line_id, random.choice(("1", "17"))),
                )
            )
        )
    return tuple(changes)


def _envelope(create: CreateOrder, sequence: int, now: datetime) -> Envelope:
    """Return an envelope without having it checked: it is not what these histories are about."""
    return Envelope.model_construct(
        event_id=create.order_id,
        order_id=create.order_id,
        sequence=sequence,
        occurred_at=now,
        partner_id=create.partner_id,
        livemode=create.livemode,
        actor=_ACTOR,
        request_id="req-1",
        traceparent=None,
        correlation_id=None,
        causation_id=None,
    )
