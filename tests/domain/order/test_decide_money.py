"""What is done with the authorized amount, with what was captured, and what time does: given / when / then."""

from datetime import date, timedelta

import pytest

from domain.order.commands import Capture, Expire, LineShare, NewLine, Refund, SetStatus, Settle, Void
from domain.order.decide import decide
from domain.order.errors import (
    AmountError,
    AmountExceedsCapturableError,
    AmountExceedsCapturedError,
    AmountExceedsRefundableError,
    AmountZeroError,
    SettlementMismatchError,
)
from domain.order.event_parts import CapturedLine, Totals
from domain.order.events import (
    OrderAuthorizationReleased,
    OrderCanceled,
    OrderCaptured,
    OrderExpired,
    OrderRefunded,
    OrderSettled,
    OrderSettlementRecorded,
)
from domain.order.status import Completion, Status
from tests.support.orders.builders import NOW
from tests.support.orders.spec import (
    AUTHORIZED,
    CANCELED,
    CAPTURED,
    EXPIRED,
    LATER,
    ORDER_ID,
    PARTLY_CAPTURED,
    PENDING,
    SETTLED,
    event,
    given,
    totals,
)

PAID_ON = "2026-11-25"
DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


def captured(
    before: Status, after: Status, so_far: int, amount: int, *, final: bool, lines: tuple[CapturedLine, ...] = ()
) -> OrderCaptured:
    amounts = totals(captured=so_far)
    return event(OrderCaptured, before, after, amounts, amount_minor=amount, final=final, lines=lines, reason=None)


def released(amounts: Totals, cause: str, reason: str | None = None) -> OrderAuthorizationReleased:
    kind, minor = OrderAuthorizationReleased, amounts.released_minor
    return event(kind, PARTLY_CAPTURED, CAPTURED, amounts, released_minor=minor, cause=cause, reason=reason)


def paid_out(after: Status, gross: int, fee: int, batch: str | None) -> OrderSettlementRecorded:
    amounts = {"gross_minor": gross, "fee_minor": fee, "net_minor": gross - fee}
    so_far = totals(captured=6497, settled=gross)
    rest = {"value_date": date(2026, 11, 25), "batch": batch, "reason": None}
    return event(OrderSettlementRecorded, CAPTURED, after, so_far, **amounts, **rest)


def test_a_partial_capture_leaves_the_rest_capturable() -> None:
    given("authorize").when(Capture(ORDER_ID, LATER, "19.99", final=False)).then(
        captured(AUTHORIZED, PARTLY_CAPTURED, 1999, 1999, final=False)
    )


def test_a_final_partial_capture_releases_the_rest() -> None:
    given("authorize").when(Capture(ORDER_ID, LATER, "19.99")).then(
        captured(AUTHORIZED, PARTLY_CAPTURED, 1999, 1999, final=True),
        released(totals(captured=1999, released=4498), "final_capture"),
    )


def test_a_capture_of_the_whole_rest_is_always_final() -> None:
    given("authorize", "capture_some").when(Capture(ORDER_ID, LATER, "54.97", final=False)).then(
        captured(PARTLY_CAPTURED, CAPTURED, 6497, 5497, final=True)
    )


def test_a_capture_without_an_amount_takes_the_whole_rest() -> None:
    state = given("authorize", "capture_some").when(Capture(ORDER_ID, LATER)).state_after()
    assert (state.status, state.ledger.captured_minor) == (CAPTURED, 6497)


def test_a_capture_by_lines_takes_their_price_and_records_their_quantity() -> None:
    command = Capture(ORDER_ID, LATER, lines=(LineShare(1, 2), LineShare(2, 1)), final=False)
    lines = (CapturedLine(line_id=1, quantity=2), CapturedLine(line_id=2, quantity=1))
    spec = given("authorize").when(command)
    spec.then(captured(AUTHORIZED, PARTLY_CAPTURED, 4498, 2 * 1999 + 500, final=False, lines=lines))
    assert [line.captured_quantity for line in spec.state_after().lines] == [2, 1]


@pytest.mark.parametrize(
    ("lines", "pointer", "code"),
    [
        ((), "/lines", "lines_required"),
        ((LineShare(3, 1),), "/lines/0/line_id", "line_unknown"),
        ((LineShare(1, 1), LineShare(1, 1)), "/lines/1/line_id", "line_unknown"),
        ((LineShare(1, 0),), "/lines/0/quantity", "quantity_out_of_range"),
        ((LineShare(2, 1), LineShare(1, 4)), "/lines/1/quantity", "quantity_exceeds_line"),
    ],
)
def test_a_capture_by_lines_names_each_line_once_and_at_most_its_rest(
    lines: tuple[LineShare, ...], pointer: str, code: str
) -> None:
    given("authorize").when(Capture(ORDER_ID, LATER, lines=lines)).then_violates((pointer, code))


def test_every_line_of_a_capture_is_looked_at_however_few_the_order_has() -> None:
    command = Capture(ORDER_ID, LATER, lines=tuple(LineShare(line_id, 0) for line_id in range(9, 39)))

    assert len(given("authorize").when(command).violations()) == 60


def test_an_earlier_capture_by_amount_may_leave_too_little_for_lines() -> None:
    command = Capture(ORDER_ID, LATER, lines=(LineShare(1, 3),))
    given("authorize", "capture_some").when(command).then_amount_refused(
        AmountExceedsCapturableError, requested_minor=5997, available_minor=5497
    )


@pytest.mark.parametrize(
    ("amount", "error", "requested_minor"),
    [("0", AmountZeroError, 0), ("0.00", AmountZeroError, 0), ("64.98", AmountExceedsCapturableError, 6498)],
)
def test_a_capture_is_positive_and_at_most_the_rest(
    amount: str, error: type[AmountError], requested_minor: int
) -> None:
    spec = given("authorize").when(Capture(ORDER_ID, LATER, amount))
    spec.then_amount_refused(error, requested_minor=requested_minor, available_minor=6497)


@pytest.mark.parametrize(("amount", "code"), [("1.999", "currency_precision"), ("-1", "amount_malformed")])
def test_an_amount_is_read_in_the_currency_of_the_order(amount: str, code: str) -> None:
    given("authorize").when(Capture(ORDER_ID, LATER, amount)).then_violates(("/amount", code))
    given("authorize", "capture").when(Refund(ORDER_ID, amount, None, LATER)).then_violates(("/amount", code))


def test_voiding_an_authorized_order_cancels_it() -> None:
    given("authorize").when(Void(ORDER_ID, "sold out", LATER)).then(
        event(OrderCanceled, AUTHORIZED, CANCELED, totals(released=6497), reason="sold out", released_minor=6497)
    )


def test_voiding_a_partly_captured_order_releases_the_rest() -> None:
    given("authorize", "capture_some").when(Void(ORDER_ID, "sold out", LATER)).then(
        released(totals(captured=1000, released=5497), "voided", "sold out")
    )


def test_a_partial_refund_changes_no_status() -> None:
    spec = given("authorize", "capture").when(Refund(ORDER_ID, "5.00", "broken", LATER))
    spec.then(
        event(OrderRefunded, CAPTURED, CAPTURED, totals(captured=6497, refunded=500), amount_minor=500, reason="broken")
    )
    assert spec.state_after().ledger.refund_status == Completion.PARTIAL


def test_a_refund_without_an_amount_refunds_the_whole_rest() -> None:
    state = given("authorize", "capture", "refund_some").when(Refund(ORDER_ID, None, None, LATER)).state_after()
    assert (state.ledger.refunded_minor, state.ledger.refund_status) == (6497, Completion.FULL)


@pytest.mark.parametrize(
    ("amount", "error", "requested_minor"), [("0", AmountZeroError, 0), ("5.01", AmountExceedsRefundableError, 501)]
)
def test_a_refund_is_positive_and_at_most_what_is_left_of_the_captures(
    amount: str, error: type[AmountError], requested_minor: int
) -> None:
    spec = given("authorize", "capture_some", "refund_some").when(Refund(ORDER_ID, amount, None, LATER))
    spec.then_amount_refused(error, requested_minor=requested_minor, available_minor=500)


def test_a_partial_settlement_changes_no_status() -> None:
    spec = given("authorize", "capture").when(Settle(ORDER_ID, "10.00", "0.20", "9.80", PAID_ON, "B-1", LATER))
    spec.then(paid_out(CAPTURED, 1000, 20, "B-1"))
    assert spec.state_after().ledger.settlement_status == Completion.PARTIAL


def test_the_settlement_that_completes_the_captured_amount_settles_the_order() -> None:
    given("authorize", "capture").when(Settle(ORDER_ID, "64.97", "0", "64.97", PAID_ON, None, LATER)).then(
        paid_out(SETTLED, 6497, 0, None),
        event(OrderSettled, SETTLED, SETTLED, totals(captured=6497, settled=6497), amount_minor=6497),
    )


def test_setting_the_status_to_settled_settles_the_rest_without_a_fee() -> None:
    state = given("authorize", "capture", "settle_some").when(SetStatus(ORDER_ID, SETTLED, None, LATER)).state_after()
    assert (state.status, state.ledger.settled_minor) == (SETTLED, 6497)


@pytest.mark.parametrize(
    ("amounts", "error", "requested_minor", "available_minor"),
    [
        (("0", "0", "0"), AmountZeroError, 0, 1000),
        (("10", "1", "8"), SettlementMismatchError, 1000, 900),
        (("10.01", "0", "10.01"), AmountExceedsCapturedError, 1001, 1000),
    ],
)
def test_a_settlement_adds_up_to_at_most_the_captured_amount(
    amounts: tuple[str, str, str], error: type[AmountError], requested_minor: int, available_minor: int
) -> None:
    spec = given("authorize", "capture_some").when(Settle(ORDER_ID, *amounts, PAID_ON, None, LATER))
    spec.then_amount_refused(error, requested_minor=requested_minor, available_minor=available_minor)


@pytest.mark.parametrize(
    ("value_date", "code"),
    [
        (str(LATER.date() + timedelta(days=367)), "date_out_of_range"),
        (str(LATER.date() - timedelta(days=3661)), "date_out_of_range"),
        ("9999-12-31", "date_out_of_range"),
        ("0001-01-01", "date_out_of_range"),
        ("2026-02-30", "date_malformed"),
        ("2026-11-25T00:00:00Z", "date_malformed"),
        ("20261125", "date_malformed"),
        ("\u0662\u0660\u0662\u0666-\u0661\u0661-\u0662\u0665", "date_malformed"),
        ("", "date_malformed"),
    ],
)
def test_a_payout_counts_from_a_day_that_is_not_far_away(value_date: str, code: str) -> None:
    broken = Settle(ORDER_ID, "64.97", "0", "64.97", value_date, None, LATER)
    given("authorize", "capture").when(broken).then_violates(("/value_date", code))


@pytest.mark.parametrize("days", [-3660, 366])
def test_a_payout_may_count_from_ten_years_ago_or_in_a_year(days: int) -> None:
    value_date = LATER.date() + timedelta(days=days)
    command = Settle(ORDER_ID, "64.97", "0", "64.97", str(value_date), None, LATER)
    recorded, _ = decide(command, given("authorize", "capture").state)
    assert isinstance(recorded, OrderSettlementRecorded)
    assert recorded.value_date == value_date


def test_all_broken_values_of_a_payout_and_of_a_refund_are_listed_at_once() -> None:
    payout = Settle(ORDER_ID, "1.999", "-1", "9" * 17, "soon", " B", LATER)
    given("authorize", "capture").when(payout).then_violates(
        ("/gross", "currency_precision"),
        ("/fee", "amount_malformed"),
        ("/net", "amount_too_large"),
        ("/value_date", "date_malformed"),
        ("/batch", "text_spaces"),
    )
    given("authorize", "capture").when(Refund(ORDER_ID, "x", "\n", LATER)).then_violates(
        ("/amount", "amount_malformed"), ("/reason", "text_blank")
    )


def test_a_refund_does_not_reduce_what_can_be_settled() -> None:
    state = given("authorize", "capture", "refund", "settle").state
    assert state is not None
    assert (state.status, state.ledger.refund_status, state.ledger.settlement_status) == (
        SETTLED,
        Completion.FULL,
        Completion.FULL,
    )


def test_a_pending_order_expires_exactly_at_its_time() -> None:
    due = NOW + 7 * DAY
    given().when(Expire(ORDER_ID, due - MOMENT)).then_nothing()
    given().when(Expire(ORDER_ID, due)).then(
        event(OrderExpired, PENDING, EXPIRED, totals(authorized=0), due_at=due, released_minor=0)
    )


def test_an_authorized_order_expires_with_its_authorization_and_releases_it() -> None:
    due = NOW + 7 * DAY + timedelta(seconds=1)
    given("authorize").when(Expire(ORDER_ID, due - MOMENT)).then_nothing()
    given("authorize").when(Expire(ORDER_ID, due)).then(
        event(OrderExpired, AUTHORIZED, EXPIRED, totals(released=6497), due_at=due, released_minor=6497)
    )


def test_an_expired_authorization_releases_the_rest_of_a_partly_captured_order() -> None:
    given("authorize", "capture_some").when(Expire(ORDER_ID, NOW + 8 * DAY)).then(
        released(totals(captured=1000, released=5497), "expired")
    )


def test_lines_of_an_order_keep_their_price_through_captures() -> None:
    lines = (NewLine("A", 3, 100), NewLine("B", 1, 50))
    state = given("authorize", lines=lines).when(Capture(ORDER_ID, LATER, lines=(LineShare(1, 1),))).state_after()
    assert (state.status, state.ledger.captured_minor, state.ledger.released_minor) == (CAPTURED, 100, 250)
