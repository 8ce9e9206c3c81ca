"""Decide about the lines of an order that is not authorized yet: all changes asked for, or none."""

from collections.abc import Sequence
from typing import Literal, assert_never

from domain import text
from domain.money import MAX_AMOUNT_MINOR, largest_amount
from domain.order.commands import AddLine, AmendLines, LineAmendment, RemoveLine, SetPrice, SetQuantity
from domain.order.decisions.rules import Violations
from domain.order.decisions.shared_members import shared_members
from domain.order.event_parts import MAX_CHANGES, MAX_LINES, AmendedLine, LineChange
from domain.order.events import OrderAmended
from domain.order.state import Line, OrderState
from domain.order.transitions import Verb, require

_Op = Literal["add", "remove", "set_quantity", "set_price"]


def amend(command: AmendLines, state: OrderState) -> tuple[OrderAmended, ...]:
    """Change lines; nothing when they are as asked already."""
    found = Violations()
    reason = found.optional(text.reason, command.reason, "reason")
    if not found:
        require(Verb.AMEND, state, command.now)
    amendment = _amendment(command.changes, state, found)
    lines = tuple(amendment.lines.values())
    if lines == state.lines:
        return ()
    after = state.ledger._replace(total_minor=sum(line.total_minor for line in lines))
    return (
        OrderAmended(
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
            changes=tuple(amendment.done),
            reason=reason,
            **shared_members(state, after),
        ),
    )


def check_amendment(command: AmendLines) -> None:
    """Check the values of an amendment as far as that is possible without its order.

    Raises:
        InvalidCommandError: with every violation.
    """
    found = Violations()
    for index, change in enumerate(command.changes):
        path = ("changes", index)
        if isinstance(change, AddLine):
            found.checked(text.sku, change.sku, *path, "sku")
        if isinstance(change, AddLine | SetQuantity):
            found.quantity(change.quantity, *path, "quantity")
        if isinstance(change, AddLine | SetPrice):
            found.price(change.unit_price, None, *path, "unit_price")
    found.optional(text.reason, command.reason, "reason")
    found.require_none()


def _amendment(changes: Sequence[LineAmendment], state: OrderState, found: Violations) -> "_Amendment":
    """Return an order's lines after all `changes`, made one after the other; `found`: what is broken besides.

    Raises:
        InvalidCommandError: with every violation.
    """
    amendment = _Amendment(state, found)
    if not changes:
        found.add("changes_required", "An amendment has at least one change.", "changes")
    elif len(changes) > MAX_CHANGES:
        found.add("too_many_changes", f"An amendment has at most {MAX_CHANGES:,} changes.", "changes")
    else:
        for index, each in enumerate(changes):
            amendment.do(index, each)
        amendment.check_sum()
    found.require_none()
    return amendment


class _Amendment:
    """An amendment under way: the lines so far, what was done, and every rule broken."""

    def __init__(self, state: OrderState, found: Violations) -> None:
        self.lines = {line.line_id: line for line in state.lines}
        self.done: list[LineChange] = []
        self.found = found
        self._currency = state.currency
        self._last_line_id = state.last_line_id

    def do(self, index: int, change: LineAmendment) -> None:
        """Make one change, or add the rules that it breaks."""
        broken_before = len(self.found)
        path = ("changes", index)
        match change:
            case AddLine():
                sku = self.found.checked(text.sku, change.sku, *path, "sku")
                self.found.quantity(change.quantity, *path, "quantity")
                minor = self.found.price(change.unit_price, self._currency, *path, "unit_price")
                if len(self.found) == broken_before:
                    self._last_line_id += 1
                    self._keep("add", Line(self._last_line_id, sku, change.quantity, minor), change.quantity, minor)
            case RemoveLine():
                if self._known(path, change.line_id) is not None:
                    del self.lines[change.line_id]
                    self._note("remove", change.line_id)
            case SetQuantity():
                line = self._known(path, change.line_id)
                if self.found.quantity(change.quantity, *path, "quantity") and line is not None:
                    self._keep("set_quantity", line._replace(quantity=change.quantity), quantity=change.quantity)
            case SetPrice():
                line = self._known(path, change.line_id)
                minor = self.found.price(change.unit_price, self._currency, *path, "unit_price")
                if line is not None and minor:
                    self._keep("set_price", line._replace(unit_price_minor=minor), unit_price_minor=minor)
            case _:
                assert_never(change)

    def check_sum(self) -> None:
        """Check the lines that are left."""
        if not self.lines:
            self.found.add("lines_required", "At least one line must be left.", "changes")
        elif len(self.lines) > MAX_LINES:
            self.found.add("too_many_lines", f"At most {MAX_LINES:,} lines may be left.", "changes")
        elif sum(line.total_minor for line in self.lines.values()) > MAX_AMOUNT_MINOR:
            self.found.add(
                "amount_too_large", f"The lines may sum to at most {largest_amount(self._currency)}.", "changes"
            )

    def _known(self, path: tuple[str | int, ...], line_id: int) -> Line | None:
        line = self.lines.get(line_id)
        if line is None:
            self.found.add("line_unknown", "At this change the order has no such line.", *path, "line_id")
        return line

    def _keep(self, op: _Op, line: Line, quantity: int | None = None, unit_price_minor: int | None = None) -> None:
        self.lines[line.line_id] = line
        self._note(op, line.line_id, quantity, unit_price_minor)

    def _note(self, op: _Op, line_id: int, quantity: int | None = None, unit_price_minor: int | None = None) -> None:
        self.done.append(LineChange(op=op, line_id=line_id, quantity=quantity, unit_price_minor=unit_price_minor))
