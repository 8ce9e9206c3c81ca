"""An order in a currency that was withdrawn later lives on unchanged; only a new one is refused."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.codec import decode
from domain.currencies import EXPONENTS
from domain.errors import DomainError
from domain.money import Currency
from domain.order.cached_state import dump_state, load_state
from domain.order.commands import CreateOrder
from domain.order.decide import decide
from domain.order.document import render_order
from domain.order.envelope import RecordedOrderEvent
from domain.order.errors import InvalidCommandError, UnexpectedEventError, WithdrawnCurrencyError
from domain.order.events import OrderCreated
from domain.order.state import OrderState, evolve
from tests.support.orders.builders import (
    NOW,
    VERBS,
    create_order_command,
    record_decision,
    recorded_history,
    stored,
    verb_command,
)
from tests.support.orders.currencies import ONE_OF_EACH, withdrawn
from tests.support.orders.strategies import create_order_commands

WHOLE_LIVES = [
    life.split()
    for life in (
        "amend details note authorize capture_some capture_last refund_some settle_some refund",
        "authorize capture_some void refund",
        "authorize void",
        "cancel",
        "expire",
        "authorize expire",
    )
]


def life_of(created: RecordedOrderEvent, verbs: Sequence[str]) -> list[bytes]:
    """Return the order after every verb, or why the verb was refused; events and states pass through their bytes."""
    state: OrderState | None = None
    documents: list[bytes] = []

    def apply(events: Sequence[RecordedOrderEvent]) -> None:
        nonlocal state
        for event in events:
            row = stored(event)
            state = load_state(dump_state(evolve(state, decode(row.type, row.schema_version, row.payload))))
            documents.append(render_order(state))

    apply([created])
    for verb in verbs:
        try:
            apply(record_decision(verb_command(verb, created.envelope.order_id, NOW), state))
        except DomainError as refused:
            documents.append(refused.code.encode())
    return documents


@pytest.mark.parametrize("code", ONE_OF_EACH)
def test_a_whole_life_is_the_same_in_a_withdrawn_currency(code: str) -> None:
    units = int("20" + "0" * EXPONENTS[code])  # 20 of the currency, so that the amounts of the verbs fit
    lines = tuple(line._replace(unit_price_minor=units) for line in create_order_command().lines)
    [created] = recorded_history(currency=Currency(code, EXPONENTS[code]), lines=lines)
    before = [life_of(created, verbs) for verbs in WHOLE_LIVES]

    with withdrawn(code):
        after = [life_of(created, verbs) for verbs in WHOLE_LIVES]

    assert after == before
    assert all(document.startswith(b"{") for life in before for document in life), "no verb is refused"


@given(command=create_order_commands(), verbs=st.lists(st.sampled_from(VERBS), max_size=8))
def test_any_life_is_the_same_in_a_withdrawn_currency(command: CreateOrder, verbs: list[str]) -> None:
    [created] = record_decision(command, None)
    before = life_of(created, verbs)

    with withdrawn(command.currency.code):
        assert life_of(created, verbs) == before


def test_a_new_order_in_a_withdrawn_currency_is_refused_by_its_currency() -> None:
    with withdrawn("EUR"), pytest.raises(WithdrawnCurrencyError) as refused:
        decide(create_order_command(), None)

    assert [(each.path, each.code) for each in refused.value.violations] == [(("currency",), "currency_unknown")]


def test_a_new_order_that_breaks_other_rules_is_refused_by_those() -> None:
    with withdrawn("EUR"), pytest.raises(InvalidCommandError) as refused:
        decide(create_order_command(lines=()), None)

    assert [each.code for each in refused.value.violations] == ["lines_required"]


def test_an_event_in_an_unknown_currency_is_refused() -> None:
    [created] = recorded_history()
    assert isinstance(created.event, OrderCreated)

    with pytest.raises(UnexpectedEventError):
        evolve(None, created._replace(event=replace(created.event, currency="ZZZ")))
