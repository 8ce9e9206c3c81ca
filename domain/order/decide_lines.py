"""Decide about the lines of an order that is not authorized yet: all changes asked for, or none."""

from collections.abc import Sequence
from typing import NamedTuple, assert_never

from domain import text
from domain.errors import MoneyError, TextError
from domain.money import MAX_AMOUNT_MINOR, parse_amount
from domain.order.commands import AddLine, AmendLines, LineAmendment, RemoveLine, SetPrice, SetQuantity
from domain.order.errors import MAX_VIOLATIONS, InvalidCommandError, Violation
from domain.order.event_parts import MAX_CHANGES, MAX_LINES, AmendedLine, LineChange
from domain.order.events import OrderAmended
from domain.order.rules import checked_reason, quantity_violation
from domain.order.state import Line, OrderState
from domain.order.transitions import Verb, require

Path = tuple[str | int, ...]


class Amended(NamedTuple):
    """The lines afterwards, and what was done to them."""

    lines: tuple[Line, ...]
    changes: tuple[LineChange, ...]


def amend(command: AmendLines, state: OrderState) -> tuple[OrderAmended, ...]:
    """Change lines; nothing when they are as asked already."""
    reason = checked_reason(command.reason)
    require(Verb.AMEND, state, command.now)
    lines, changes = amended_lines(command.changes, state)
    if lines == state.lines:
        return ()
    total_minor = sum(line.total_minor for line in lines)
    return (
        OrderAmended(
            currency=state.currency.code,
            lines=tuple(
                AmendedLine(
                    line_id=line.line_id,
                    sku=line.sku,
                    quantity=line.quantity,
                    unit_price_minor=line.unit_price_minor,
                    total_minor=line.total_minor,
                )
                for line in lines
            ),
            changes=changes,
            reason=reason,
            from_status=state.status,
            to_status=state.status,
            totals=state.ledger._replace(total_minor=total_minor).totals,
        ),
    )


def amended_lines(changes: Sequence[LineAmendment], state: OrderState) -> Amended:
    """Return the lines after all `changes`, done one after the other.

    Raises:
        InvalidCommandError: with at most 20 violations.
    """
    if not changes:
        raise InvalidCommandError((Violation(("changes",), "changes_required", "names at least one change"),))
    if len(changes) > MAX_CHANGES:
        detail = f"holds at most {MAX_CHANGES} changes"
        raise InvalidCommandError((Violation(("changes",), "too_many_changes", detail),))
    amendment = _Amendment(state)
    for index, change in enumerate(changes):
        amendment.do(("changes", index), change)
        if len(amendment.found) >= MAX_VIOLATIONS:
            break
    lines = tuple(amendment.lines.values())
    amendment.found += _broken_sum(lines)
    if amendment.found:
        raise InvalidCommandError(tuple(amendment.found[:MAX_VIOLATIONS]))
    return Amended(lines, tuple(amendment.done))


def _broken_sum(lines: Sequence[Line]) -> list[Violation]:
    if not lines:
        return [Violation(("changes",), "lines_required", "leave at least one line")]
    if len(lines) > MAX_LINES:
        return [Violation(("changes",), "too_many_lines", f"leave at most {MAX_LINES} lines")]
    if sum(line.total_minor for line in lines) > MAX_AMOUNT_MINOR:
        return [Violation(("changes",), "amount_too_large", f"sum to at most {MAX_AMOUNT_MINOR} minor units")]
    return []


class _Amendment:
    """An amendment under way: the lines so far, what was done, and every rule broken."""

    def __init__(self, state: OrderState) -> None:
        self.lines = {line.line_id: line for line in state.lines}
        self.done: list[LineChange] = []
        self.found: list[Violation] = []
        self._currency = state.currency
        self._last_line_id = state.last_line_id

    def do(self, path: Path, change: LineAmendment) -> None:
        match change:
            case AddLine():
                self._add(path, change)
            case RemoveLine():
                if self._known(path, change.line_id) is not None:
                    del self.lines[change.line_id]
                    self.done.append(
                        LineChange(op="remove", line_id=change.line_id, quantity=None, unit_price_minor=None)
                    )
            case SetQuantity():
                self._set_quantity(path, change)
            case SetPrice():
                self._set_price(path, change)
            case _:
                assert_never(change)

    def _add(self, path: Path, change: AddLine) -> None:
        sku = self._sku(path, change.sku)
        is_countable = self._is_quantity(path, change.quantity)
        minor = self._price(path, change.unit_price)
        if sku is None or minor is None or not is_countable:
            return
        self._last_line_id += 1
        line = Line(self._last_line_id, sku, change.quantity, minor)
        self.lines[line.line_id] = line
        self.done.append(LineChange(op="add", line_id=line.line_id, quantity=line.quantity, unit_price_minor=minor))

    def _set_quantity(self, path: Path, change: SetQuantity) -> None:
        line = self._known(path, change.line_id)
        if self._is_quantity(path, change.quantity) and line is not None:
            self.lines[line.line_id] = line._replace(quantity=change.quantity)
            self.done.append(
                LineChange(op="set_quantity", line_id=line.line_id, quantity=change.quantity, unit_price_minor=None)
            )

    def _set_price(self, path: Path, change: SetPrice) -> None:
        line = self._known(path, change.line_id)
        minor = self._price(path, change.unit_price)
        if line is not None and minor is not None:
            self.lines[line.line_id] = line._replace(unit_price_minor=minor)
            self.done.append(LineChange(op="set_price", line_id=line.line_id, quantity=None, unit_price_minor=minor))

    def _known(self, path: Path, line_id: int) -> Line | None:
        line = self.lines.get(line_id)
        if line is None:
            self.found.append(Violation((*path, "line_id"), "line_unknown", "is no line of the order at this change"))
        return line

    def _is_quantity(self, path: Path, quantity: int) -> bool:
        broken = quantity_violation((*path, "quantity"), quantity)
        if broken is not None:
            self.found.append(broken)
        return broken is None

    def _sku(self, path: Path, value: str) -> str | None:
        try:
            return text.sku(value)
        except TextError as error:
            self.found.append(Violation((*path, "sku"), error.code, error.detail))
            return None

    def _price(self, path: Path, value: str) -> int | None:
        try:
            minor = parse_amount(value, self._currency)
        except MoneyError as error:
            self.found.append(Violation((*path, "unit_price"), error.code, error.detail))
            return None
        if minor == 0:
            self.found.append(Violation((*path, "unit_price"), "amount_zero", "is more than zero"))
            return None
        return minor
