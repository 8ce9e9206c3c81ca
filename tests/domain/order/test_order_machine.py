"""Random histories of orders: after every event all invariants hold, whatever was asked before.

Hypothesis shrinks what breaks to its shortest history. `--hypothesis-profile=full` goes through a hundred thousand of
them, some 12 ms of one core each; `test_order_histories.py` goes through many more in every run, without shrinking.
"""

from datetime import date, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.codec import decode
from domain.money import MAX_AMOUNT_MINOR, amount_text
from domain.order.cached_state import dump_state, load_state
from domain.order.commands import (
    AddLine,
    AddNote,
    AmendLines,
    Authorize,
    Cancel,
    Capture,
    CreateOrder,
    Expire,
    LineShare,
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
from domain.order.due import due_at, status_at
from domain.order.envelope import RecordedOrderEvent
from domain.order.errors import AmountError, InvalidCommandError, OrderExistsError, TransitionError
from domain.order.state import OrderState, evolve, fold
from domain.order.status import Status
from domain.order.transitions import allowed_transitions
from tests.support.orders.builders import record_decision, stored
from tests.support.orders.invariants import Sums, check_event, check_refusal
from tests.support.orders.strategies import create_order_commands, emails, external_references, metadata, skus

SOME = 80
EXAMPLES = 100_000 if settings.get_current_profile_name() == "full" else SOME
REASONS = st.none() | st.sampled_from(["ordered twice", "price was wrong", "買い間違い"])
QUANTITIES = st.integers(0, 3) | st.sampled_from([999, 1000])


def minors(limit: int) -> st.SearchStrategy[int]:
    """Draw amounts on both sides of a limit."""
    return st.integers(0, limit) | st.sampled_from([limit, limit + 1])


class OrderMachine(RuleBasedStateMachine):
    """One order, asked for anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.created: CreateOrder
        self.order: OrderState
        self.sums = Sums()
        self.waited = timedelta(0)
        self.history: list[RecordedOrderEvent] = []

    @initialize(command=create_order_commands())
    def create(self, command: CreateOrder) -> None:
        self.created = command
        (recorded,) = record_decision(command, None)
        self._apply(recorded, command.now)

    @rule()
    def create_again(self) -> None:
        try:
            decide(self.created, self.order)
        except OrderExistsError:
            return
        raise AssertionError("an order was created twice")

    @rule()
    def authorize(self) -> None:
        self._ask(Authorize(self.order.order_id, self._now()))

    @rule(data=st.data(), final=st.booleans())
    def capture(self, data: st.DataObject, *, final: bool) -> None:
        amount = data.draw(st.none() | self._amounts(self.order.ledger.capturable_minor))
        self._ask(Capture(self.order.order_id, self._now(), amount, final=final))

    @rule(data=st.data(), final=st.booleans())
    def capture_lines(self, data: st.DataObject, *, final: bool) -> None:
        share = st.builds(LineShare, self._line_ids(), QUANTITIES)
        shares = tuple(data.draw(st.lists(share, max_size=3)))
        self._ask(Capture(self.order.order_id, self._now(), None, shares, final=final))

    @rule(data=st.data(), reason=REASONS)
    def amend(self, data: st.DataObject, reason: str | None) -> None:
        prices = self._amounts(MAX_AMOUNT_MINOR // 999)
        change = st.one_of(
            st.builds(AddLine, skus(), QUANTITIES, prices),
            st.builds(RemoveLine, self._line_ids()),
            st.builds(SetQuantity, self._line_ids(), QUANTITIES),
            st.builds(SetPrice, self._line_ids(), prices),
        )
        changes = tuple(data.draw(st.lists(change, max_size=4)))
        self._ask(AmendLines(self.order.order_id, changes, reason, self._now()))

    @rule(email=st.none() | emails(), reference=st.none() | external_references(), pairs=st.none() | metadata())
    def update_details(self, email: str | None, reference: str | None, pairs: dict[str, str] | None) -> None:
        self._ask(UpdateDetails(self.order.order_id, email, reference, pairs, self._now()))

    @rule(visibility=st.sampled_from(["internal", "partner"]))
    def add_note(self, visibility: Literal["internal", "partner"]) -> None:
        self._ask(AddNote(self.order.order_id, "call before delivery", visibility, self._now()))

    @rule(reason=REASONS)
    def void(self, reason: str | None) -> None:
        self._ask(Void(self.order.order_id, reason, self._now()))

    @rule(data=st.data(), reason=REASONS)
    def refund(self, data: st.DataObject, reason: str | None) -> None:
        amount = data.draw(st.none() | self._amounts(self.order.ledger.refundable_minor))
        self._ask(Refund(self.order.order_id, amount, reason, self._now()))

    @rule(data=st.data(), fee_percent=st.sampled_from([0, 2, 100]))
    def settle(self, data: st.DataObject, fee_percent: int) -> None:
        gross = data.draw(minors(self.order.ledger.unsettled_minor))
        fee = gross * fee_percent // 100
        amount, kept, net = (amount_text(minor, self.order.currency) for minor in (gross, fee, gross - fee))
        self._ask(Settle(self.order.order_id, amount, kept, net, date(2026, 11, 25), None, self._now()))

    @rule(days=st.integers(0, 8))
    def expire(self, days: int) -> None:
        before = self.order
        now = self._now() + timedelta(days=days)
        self._ask(Expire(before.order_id, now))
        assert self.order == before or due_at(before) <= now  # type: ignore[operator]  # what is never due never changes

    @rule(days=st.integers(1, 8))
    def wait(self, days: int) -> None:
        self.waited = timedelta(days=days)

    @rule(reason=REASONS)
    def cancel(self, reason: str | None) -> None:
        self._ask(Cancel(self.order.order_id, reason, self._now()))

    @rule(status=st.sampled_from(Status), reason=REASONS)
    def set_status(self, status: Status, reason: str | None) -> None:
        before, now = self.order.status, self._now()
        standing = status_at(self.order, now)
        self._ask(SetStatus(self.order.order_id, status, reason, now))
        # What is paid out of an order whose time ran out makes it settled when the timer has released the rest.
        reachable = standing is before and status in allowed_transitions(before)
        assert self.order.status == (status if reachable else before)

    def _line_ids(self) -> st.SearchStrategy[int]:
        return st.integers(1, self.order.last_line_id + 1)

    def _amounts(self, limit: int) -> st.SearchStrategy[str]:
        return minors(limit).map(lambda minor: amount_text(minor, self.order.currency))

    def _now(self) -> datetime:
        return self.order.updated_at + timedelta(seconds=1) + self.waited

    def _ask(self, command: OrderCommand) -> None:
        before = self.order
        try:
            recorded = record_decision(command, before)
        except (TransitionError, AmountError, InvalidCommandError) as refused:
            check_refusal(refused, before, command.now)
            return
        for event in recorded:
            self._apply(event, command.now)
            self.waited = timedelta(0)

    def _apply(self, recorded: RecordedOrderEvent, now: datetime) -> None:
        before = self.order if self.history else None
        self.order = evolve(before, recorded)
        self.history.append(recorded)
        self.sums.add(recorded.event)
        check_event(before, recorded.event, self.order, self.sums, now)

    @invariant()
    def a_fold_from_zero_and_from_stored_bytes_and_from_the_cache_agree(self) -> None:
        rows = [stored(recorded) for recorded in self.history]
        reread = [decode(row.type, row.schema_version, row.payload) for row in rows]
        assert reread == self.history
        assert fold(None, reread) == self.order
        assert load_state(dump_state(self.order)) == self.order
        assert [row.sequence for row in rows] == list(range(1, self.order.version + 1))


TestOrderMachine = pytest.mark.timeout(0 if EXAMPLES > SOME else 120)(OrderMachine.TestCase)
TestOrderMachine.settings = settings(max_examples=EXAMPLES, stateful_step_count=16)
