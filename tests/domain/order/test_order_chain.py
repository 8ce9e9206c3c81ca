"""Accepted means projectable and publishable: whatever `decide` accepts passes the whole chain of pure steps."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from domain import text
from domain.catalogue import json_schemas
from domain.codec import decode
from domain.money import MAX_AMOUNT_MINOR, currency
from domain.order.cached_state import dump_state, load_state
from domain.order.commands import AmendLines, CreateOrder, NewLine, SetQuantity
from domain.order.decide import decide
from domain.order.document import render_order
from domain.order.errors import OrderError
from domain.order.state import OrderState, evolve
from tests.support.orders.builders import (
    NOW,
    VERBS,
    create_order_command,
    new_order_id,
    record_decision,
    stored,
    verb_command,
)
from tests.support.orders.strategies import create_order_commands

KAFKA_RECORD_LIMIT_BYTES = 1_048_588
WORST_EVENT_BYTES = 900_000
VERB_LISTS = st.lists(st.sampled_from(VERBS), max_size=6)
VALIDATORS = {name: Draft202012Validator(schema) for name, schema in json_schemas().items()}


def pass_the_chain(command: CreateOrder, verbs: list[str]) -> OrderState:
    state: OrderState | None = None
    commands = itertools.chain([command], (verb_command(verb, command.order_id, NOW) for verb in verbs))
    for one in commands:
        try:
            recorded = record_decision(one, state)
        except OrderError:
            continue
        for event in recorded:
            row = stored(event)
            VALIDATORS[row.type, row.schema_version].validate(json.loads(row.payload))
            assert len(row.payload) <= WORST_EVENT_BYTES
            reread = decode(row.type, row.schema_version, row.payload)
            assert reread == event
            assert stored(reread).payload == row.payload
            state = evolve(state, reread)
            assert load_state(dump_state(state)) == state
            document = json.loads(render_order(state))
            assert (document["version"], document["status"]) == (row.sequence, state.status)
    assert state is not None
    return state


@given(create_order_commands(), VERB_LISTS)
def test_any_accepted_order_can_be_stored_reread_folded_cached_and_rendered(
    command: CreateOrder, verbs: list[str]
) -> None:
    pass_the_chain(command, verbs)


LONGEST_SKU = "\U0001d7d8" * text.MAX_SKU_CHARS  # four bytes each, no shorter in NFC
LONGEST_ORDER = create_order_command(
    currency=currency("UYW"),
    customer_email="\U0001d7d8" * 16 + "@" + ".".join(["\U00020000" * 14] * 8 + ["example"]),
    lines=tuple(NewLine(LONGEST_SKU, 999, MAX_AMOUNT_MINOR // 999_000) for _ in range(1000)),
    external_reference="\U0001d7d8" * text.MAX_EXTERNAL_REFERENCE_CHARS,
    metadata={f"{number:a>40}": "\U0001d7d8" * text.MAX_METADATA_VALUE_CHARS for number in range(50)},
)
ESCAPED_ORDER = create_order_command(
    lines=tuple(NewLine('"' * text.MAX_SKU_CHARS, 999, 1) for _ in range(1000)),
    external_reference="\\" * text.MAX_EXTERNAL_REFERENCE_CHARS,
    metadata={f"{number:a>40}": '"\n' * (text.MAX_METADATA_VALUE_CHARS // 2) for number in range(50)},
)


@pytest.mark.parametrize("command", [LONGEST_ORDER, ESCAPED_ORDER], ids=["four-byte characters", "escapes"])
def test_the_longest_order_fits_a_kafka_record_with_room_for_headers(command: CreateOrder) -> None:
    state = pass_the_chain(command, ["authorize", "capture"])
    (created,) = record_decision(command, None)
    assert len(stored(created).payload) <= WORST_EVENT_BYTES < KAFKA_RECORD_LIMIT_BYTES
    assert len(render_order(state)) <= WORST_EVENT_BYTES


def test_the_longest_amendment_fits_a_kafka_record_too() -> None:
    (created,) = record_decision(LONGEST_ORDER, None)
    state = evolve(None, created)
    changes = tuple(SetQuantity(number, 998) for number in range(1, 1001))
    reason = "\U0001d7d8" * text.MAX_REASON_CHARS
    (amended,) = record_decision(AmendLines(state.order_id, changes, reason, NOW), state)
    assert len(stored(amended).payload) <= WORST_EVENT_BYTES


@given(
    st.builds(
        CreateOrder,
        order_id=st.builds(new_order_id),
        partner_id=st.just("acme"),
        livemode=st.booleans(),
        currency=st.just(currency("EUR")),
        customer_email=st.text(max_size=20),
        lines=st.lists(st.builds(NewLine, st.text(max_size=5), st.integers(), st.integers()), max_size=5).map(tuple),
        external_reference=st.none() | st.text(max_size=5),
        metadata=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
        now=st.just(NOW),
    )
)
def test_any_creation_results_in_events_or_an_order_error(command: CreateOrder) -> None:
    try:
        decide(command, None)
    except OrderError:
        return
    pass_the_chain(command, [])
