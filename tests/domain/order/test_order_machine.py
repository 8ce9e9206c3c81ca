"""Random orders, asked for anything: after every event the invariants hold, in the store, the cache and the document.

Hypothesis draws the orders and shrinks what breaks to its shortest history. `--hypothesis-profile=full` goes through a
hundred thousand of them; `test_order_histories.py` goes through many more in every run, faster and without shrinking.
"""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.codec import decode
from domain.order.cached_state import dump_state, load_state
from domain.order.commands import CreateOrder, OrderCommand, UpdateDetails
from domain.order.decide import decide
from domain.order.envelope import RecordedOrderEvent
from domain.order.errors import AmountError, InvalidCommandError, OrderExistsError, TransitionError
from domain.order.state import OrderState, evolve, fold
from tests.support.orders.builders import record_decision, stored
from tests.support.orders.histories import any_command
from tests.support.orders.invariants import Sums, check_command, check_event, check_refusal
from tests.support.orders.strategies import create_order_commands, emails, external_references, metadata

SOME = 80
EXAMPLES = 100_000 if settings.get_current_profile_name() == "full" else SOME


class OrderMachine(RuleBasedStateMachine):
    """One order, asked for anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.created: CreateOrder
        self.order: OrderState
        self.sums = Sums()
        self.history: list[RecordedOrderEvent] = []
        self.waited = timedelta(0)

    @initialize(command=create_order_commands())
    def create(self, command: CreateOrder) -> None:
        self.created = command
        (recorded,) = record_decision(command, None)
        self._apply(recorded)

    @rule()
    def create_again(self) -> None:
        with pytest.raises(OrderExistsError):
            decide(self.created, self.order)

    @rule(days=st.integers(1, 8))
    def wait(self, days: int) -> None:
        self.waited += timedelta(days=days)

    @rule(random=st.randoms(use_true_random=False))
    def ask(self, random: Random) -> None:
        self._ask(any_command(random, self.order, self.order.updated_at + timedelta(seconds=1) + self.waited))

    @rule(email=st.none() | emails(), reference=st.none() | external_references(), pairs=st.none() | metadata())
    def update_details(self, email: str | None, reference: str | None, pairs: dict[str, str] | None) -> None:
        now = self.order.updated_at + timedelta(seconds=1)
        self._ask(UpdateDetails(self.order.order_id, email, reference, pairs, now))

    def _ask(self, command: OrderCommand) -> None:
        before = self.order
        try:
            recorded = record_decision(command, before)
        except (TransitionError, AmountError, InvalidCommandError) as refused:
            check_refusal(refused, before, command.now)
            return
        for event in recorded:
            self._apply(event)
            self.waited = timedelta(0)
        check_command(command, before, self.order)

    def _apply(self, recorded: RecordedOrderEvent) -> None:
        before = self.order if self.history else None
        self.order = evolve(before, recorded)
        self.history.append(recorded)
        self.sums.add(recorded.event)
        check_event(before, recorded, self.order, self.sums)

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
