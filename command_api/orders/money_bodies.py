"""Bodies of requests that move money: captures, voids, refunds, settlements. Amounts stay texts until `decide`."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

from fastapi.openapi.models import Example
from pydantic import Field

from command_api.handling.bodies import NO_ORDER, also_broken, described, field_error, value_errors_of, with_example
from command_api.orders.bodies import Amount, LineId, Quantity, Reason
from domain import text
from domain.order.commands import Capture, LineShare, Refund, Settle, Void
from domain.order.event_parts import MAX_LINES
from domain.order.ids import OrderId
from infra.http.problems import FieldError
from infra.http.validation import NeverNull, RequestBody

_AmountOrAll = Annotated[Amount | None, NeverNull()]
"""None: all that is left."""


class LineShareBody(RequestBody):
    """How much of one line."""

    line_id: LineId
    quantity: Quantity


class CaptureBody(RequestBody):
    """An amount, or lines to be paid for, or neither: then all that is left."""

    amount: _AmountOrAll = None
    lines: Annotated[list[LineShareBody] | None, NeverNull()] = Field(default=None, min_length=1, max_length=MAX_LINES)
    final: bool = Field(
        default=True,
        description="release what is then still authorized; false: another capture may follow, as long as any is left",
    )
    reason: Reason | None = None

    def value_errors(self, _broken: AbstractSet[str]) -> Sequence[FieldError]:
        """Return what is wrong with the values, but for what depends on the order and its currency."""
        return value_errors_of(partial(capture, self, NO_ORDER))


class VoidBody(RequestBody):
    """Why the rest is released, if a reason is to be kept."""

    reason: Reason | None = None

    def value_errors(self, _broken: AbstractSet[str]) -> Sequence[FieldError]:
        """Return what is wrong with the reason."""
        return value_errors_of(lambda now: Void(NO_ORDER, self.reason, now))


REFUND: Final[dict[str, Any]] = {"amount": "7.50", "reason": "the rope was frayed"}


class RefundBody(RequestBody):
    """An amount to refund; without one, all that is left of the captures."""

    model_config = with_example(REFUND)

    amount: _AmountOrAll = None
    reason: Reason | None = None

    def value_errors(self, _broken: AbstractSet[str]) -> Sequence[FieldError]:
        """Return what is wrong with the values, but for what depends on the currency of the order."""
        return value_errors_of(lambda now: Refund(NO_ORDER, self.amount, self.reason, now))


class SettlementBody(RequestBody):
    """A payout of captured money: `gross` = `fee` + `net`."""

    gross: Amount
    fee: Amount = Field(examples=["0.60"])
    net: Amount = Field(examples=["19.39"])
    value_date: str = Field(
        description="the day the money counts from: at most ten years ago, at most a year ahead",
        json_schema_extra={"format": "date"},
        examples=["2026-11-25"],
    )
    batch: str | None = Field(
        default=None,
        description="name of the payout it was part of",
        json_schema_extra=described(1, text.MAX_BATCH_CHARS),
        examples=["2026-11-25-EUR"],
    )
    reason: Reason | None = None

    def value_errors(self, _broken: AbstractSet[str]) -> Sequence[FieldError]:
        """Return what is wrong with the values, but for what depends on the currency of the order."""
        return value_errors_of(partial(settle, self, NO_ORDER))


CAPTURES: Final = {
    "all": Example(summary="all that is left", value={}),
    "part": Example(summary="a part; another capture may follow", value={"amount": "19.99", "final": False}),
    "lines": Example(
        summary="what some lines cost; the rest is released", value={"lines": [{"line_id": 1, "quantity": 2}]}
    ),
}


def capture(body: CaptureBody, order_id: OrderId, now: datetime) -> Capture:
    """Return the command that a body asks for.

    Raises:
        Problem: 422, it names an amount and lines; with the rules that their values break.
    """
    lines = None if body.lines is None else tuple(LineShare(line.line_id, line.quantity) for line in body.lines)
    command = Capture(order_id, now, body.amount, lines, body.final, body.reason)
    if body.amount is not None and lines is not None:
        raise also_broken([field_error("", "amount_or_lines")], command)
    return command


def settle(body: SettlementBody, order_id: OrderId, now: datetime) -> Settle:
    """Return the command that a body asks for."""
    return Settle(order_id, body.gross, body.fee, body.net, body.value_date, body.batch, now, body.reason)
