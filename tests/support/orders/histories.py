"""Random histories of orders, fast: pure functions, one random generator, no shrinking, tens of thousands at a time.

Everything that can be asked of an order is asked, allowed or not, with amounts around every limit.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
from domain.order.envelope import Actor, Envelope, RecordedOrderEvent
from domain.order.errors import AmountError, InvalidCommandError, TransitionError
from domain.order.state import OrderState, evolve, fold
from domain.order.status import Status
from tests.support.orders.builders import NOW, new_order_id
from tests.support.orders.invariants import Sums, check_command, check_event, check_refusal

_CURRENCIES: Final = tuple(currency(code) for code in ("EUR", "JPY", "KWD", "CLF"))
_ACTOR: Final = Actor(type="api_key", id="acme", key_id="k3y00001")
_VALUE_DATE: Final = "2026-11-25"
_VERBS: Final = (
    "amend", "details", "note", "authorize", "authorize", "capture", "capture", "capture_lines", "void", "cancel",
    "refund", "refund", "settle", "settle", "set_status", "expire", "wait",
)  # fmt: skip


@dataclass(slots=True)
class Tally:
    """What a run of histories went through."""

    moves: set[tuple[Status | None, Status]] = field(default_factory=set)
    refused_by: set[str] = field(default_factory=set)


def run_histories(seed: int, count: int) -> Tally:
    """Go through `count` histories; the same seed always draws the same ones.

    Raises:
        AssertionError: an invariant fails, `evolve` refuses what `decide` returned, or a fold from zero differs.
    """
    tally = Tally()
    for number in range(count):
        _run_history(Random(seed * 1_000_003 + number), tally)  # noqa: S311  # nothing secret
    return tally


def _run_history(random: Random, tally: Tally) -> None:
    create = _create(random)
    now = NOW
    state: OrderState | None = None
    history: list[RecordedOrderEvent] = []
    sums = Sums()
    command: OrderCommand = create
    for _ in range(random.randint(2, 14)):
        try:
            events = decide(command, state)
        except (TransitionError, AmountError, InvalidCommandError) as refused:
            tally.refused_by.add(refused.code)
            assert state is not None, "the first command is acceptable"
            check_refusal(refused, state, now)
            events = ()
        asked = state
        for event in events:
            before = state
            recorded = RecordedOrderEvent(event, _envelope(create, len(history) + 1, now))
            state = evolve(before, recorded)
            history.append(recorded)
            sums.add(event)
            check_event(before, recorded, state, sums)
            tally.moves.add((event.from_status, event.to_status))
        assert state is not None
        check_command(command, asked, state)
        now += timedelta(seconds=1) if random.random() < 0.9 else timedelta(days=random.randint(1, 8))
        command = any_command(random, state, now)
    assert fold(None, history) == state


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


def any_command(random: Random, state: OrderState, now: datetime) -> OrderCommand:  # noqa: C901, PLR0911, PLR0912  # one each
    """Return a command for an order, allowed or not, with amounts around every limit."""
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
