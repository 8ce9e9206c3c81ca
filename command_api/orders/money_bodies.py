"""Bodies of requests that move money: captures, voids, refunds, settlements. Amounts stay texts until `decide`."""

import re
from datetime import date, datetime
from typing import Any, Final

from fastapi.openapi.models import Example
from pydantic import Field

from command_api.errors import invalid_values
from command_api.handling.bodies import RequestBody, described, field_error, with_example
from command_api.orders.bodies import Amount, LineId, Quantity, Reason
from domain import text
from domain.order.commands import Capture, LineShare, Settle
from domain.order.event_parts import MAX_LINES
from domain.order.ids import OrderId

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class LineShareBody(RequestBody):
    """How much of one line."""

    line_id: LineId
    quantity: Quantity


class CaptureBody(RequestBody):
    """An amount, or lines to be paid for, or neither: then all that is left."""

    amount: Amount | None = None
    lines: list[LineShareBody] | None = Field(default=None, min_length=1, max_length=MAX_LINES)
    final: bool = Field(
        default=True, description="release what is then still authorized; false: another capture may follow"
    )
    reason: Reason | None = None


class VoidBody(RequestBody):
    """Why the rest is released, if a reason is to be kept."""

    reason: Reason | None = None


REFUND: Final[dict[str, Any]] = {"amount": "7.50", "reason": "the rope was frayed"}


class RefundBody(RequestBody):
    """An amount to refund; without one, all that is left of the captures."""

    model_config = with_example(REFUND)

    amount: Amount | None = None
    reason: Reason | None = None


class SettlementBody(RequestBody):
    """A payout of captured money: `gross` = `fee` + `net`."""

    gross: Amount
    fee: Amount = Field(examples=["0.60"])
    net: Amount = Field(examples=["19.39"])
    value_date: str = Field(
        description="the day the money counts from", json_schema_extra={"format": "date"}, examples=["2026-11-25"]
    )
    batch: str | None = Field(
        default=None,
        description="name of the payout it was part of",
        json_schema_extra=described(1, text.MAX_BATCH_CHARS),
        examples=["2026-11-25-EUR"],
    )
    reason: Reason | None = None


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
        Problem: 422, it names an amount and lines.
    """
    if body.amount is not None and body.lines is not None:
        raise invalid_values([field_error("", "amount_or_lines")])
    lines = None if body.lines is None else tuple(LineShare(line.line_id, line.quantity) for line in body.lines)
    return Capture(order_id, now, body.amount, lines, body.final, body.reason)


def settle(body: SettlementBody, order_id: OrderId, now: datetime) -> Settle:
    """Return the command that a body asks for.

    Raises:
        Problem: 422, it is not a day.
    """
    value_date = _date(body.value_date)
    return Settle(order_id, body.gross, body.fee, body.net, value_date, body.batch, now, body.reason)


def _date(value: str) -> date:
    try:
        if _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise invalid_values([field_error("/value_date", "date_malformed")])
