"""What each command causes, given / when / then."""

from datetime import timedelta

import pytest

from domain.order.commands import Authorize, Cancel, Capture, NewLine, SetStatus
from domain.order.decide import decide
from domain.order.errors import OrderExistsError, OrderNotFoundError
from domain.order.event_parts import ClearPersonal, EventLine
from domain.order.events import OrderAuthorized, OrderCanceled, OrderCaptured, OrderCreated, OrderSettlementRecorded
from domain.order.status import Status
from tests.support.orders.builders import NOW, create_order_command, order_state
from tests.support.orders.spec import (
    AUTHORIZED,
    CANCELED,
    CAPTURED,
    LATER,
    ORDER_ID,
    PENDING,
    SETTLED,
    event,
    given,
    given_nothing,
    totals,
)


def test_a_new_order_is_pending_for_seven_days() -> None:
    command = create_order_command(
        customer_email="buyer@example.com",
        lines=(NewLine("A", 3, 1999), NewLine("B", 1, 500)),
        external_reference="PO-1",
        metadata={"channel": "b2b"},
    )
    given_nothing().when(command).then(
        event(
            OrderCreated,
            None,
            PENDING,
            totals(authorized=0),
            lines=(
                EventLine(line_id=1, sku="A", quantity=3, unit_price_minor=1999, total_minor=5997),
                EventLine(line_id=2, sku="B", quantity=1, unit_price_minor=500, total_minor=500),
            ),
            external_reference="PO-1",
            metadata={"channel": "b2b"},
            expires_at=NOW + timedelta(days=7),
            personal=ClearPersonal(scheme="clear", customer_email="buyer@example.com"),
        )
    )


def test_two_lines_may_have_the_same_sku() -> None:
    command = create_order_command(lines=(NewLine("A", 1, 100), NewLine("A", 2, 90)))
    (created,) = decide(command, None)
    assert isinstance(created, OrderCreated)
    assert [(line.line_id, line.sku) for line in created.lines] == [(1, "A"), (2, "A")]


def test_an_order_is_created_once() -> None:
    given().when(create_order_command(order_id=ORDER_ID)).then_refused(OrderExistsError)


def test_a_verb_needs_an_order() -> None:
    given_nothing().when(Authorize(ORDER_ID, LATER)).then_refused(OrderNotFoundError)
    given_nothing().when(SetStatus(ORDER_ID, PENDING, None, LATER)).then_refused(OrderNotFoundError)


def test_authorizing_reserves_the_total_for_seven_days() -> None:
    given().when(Authorize(ORDER_ID, LATER)).then(
        event(
            OrderAuthorized,
            PENDING,
            AUTHORIZED,
            totals(),
            amount_minor=6497,
            auth_expires_at=LATER + timedelta(days=7),
            reason=None,
        )
    )


def test_capturing_takes_all_and_is_final() -> None:
    after = totals(captured=6497)
    given("authorize").when(Capture(ORDER_ID, LATER)).then(
        event(OrderCaptured, AUTHORIZED, CAPTURED, after, amount_minor=6497, final=True, lines=(), reason=None)
    )


def test_canceling_a_pending_order_releases_nothing() -> None:
    given().when(Cancel(ORDER_ID, "ordered twice", LATER)).then(
        event(OrderCanceled, PENDING, CANCELED, totals(authorized=0), reason="ordered twice", released_minor=0)
    )


def test_canceling_an_authorized_order_releases_what_is_reserved() -> None:
    given("authorize").when(Cancel(ORDER_ID, None, LATER)).then(
        event(OrderCanceled, AUTHORIZED, CANCELED, totals(released=6497), reason=None, released_minor=6497)
    )


def test_setting_the_status_to_canceled_keeps_the_reason() -> None:
    command = SetStatus(ORDER_ID, CANCELED, "ordered twice", LATER)
    assert given().when(command).state_after().cancel_reason == "ordered twice"


@pytest.mark.parametrize(
    ("past", "target"),
    [((), AUTHORIZED), ((), CANCELED), (("authorize",), CAPTURED), (("authorize", "capture"), SETTLED)],
)
def test_the_event_that_sets_a_status_keeps_the_reason_whatever_the_status(
    past: tuple[str, ...], target: Status
) -> None:
    first, *_ = decide(SetStatus(ORDER_ID, target, "asked for by phone", LATER), order_state(*past, order_id=ORDER_ID))
    assert isinstance(first, OrderAuthorized | OrderCanceled | OrderCaptured | OrderSettlementRecorded)
    assert first.reason == "asked for by phone"
