"""Given / when / then for orders: a test reads as one sentence about one order.

given("authorize").when(Capture(ORDER_ID, LATER)).then(OrderCaptured(...))
given().when(Capture(ORDER_ID, LATER)).then_refused(NotAuthorizedError)
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, Unpack
from uuid import UUID

import pytest

from domain.order.commands import OrderCommand
from domain.order.decide import decide
from domain.order.due import status_at
from domain.order.errors import AmountError, InvalidCommandError, OrderError, TransitionError, Violation
from domain.order.event_parts import Totals
from domain.order.events import OrderEvent
from domain.order.ids import OrderId
from domain.order.state import OrderState, fold
from domain.order.status import Status
from tests.support.orders.builders import NOW, CreateOrderFields, record_decision, recorded_history

ORDER_ID = OrderId(UUID("019aae3f-7c00-7000-8000-000000000000"))
LATER = NOW + timedelta(hours=1)
PENDING, AUTHORIZED, PARTLY_CAPTURED, CAPTURED, SETTLED, CANCELED, EXPIRED = Status

Refusal = TypeVar("Refusal", bound=OrderError)
Event = TypeVar("Event", bound=OrderEvent)


def totals(
    total: int = 6497,
    *,
    authorized: int = 6497,
    captured: int = 0,
    released: int = 0,
    refunded: int = 0,
    settled: int = 0,
) -> Totals:
    """Return the totals of an event, in minor units."""
    return Totals(
        total_minor=total,
        authorized_minor=authorized,
        captured_minor=captured,
        released_minor=released,
        refunded_minor=refunded,
        settled_minor=settled,
    )


def event(
    kind: Callable[..., Event], before: Status | None, after: Status, amounts: Totals, /, **fields: object
) -> Event:
    """Return an event of an order in EUR that leads from one status to another."""
    return kind(currency="EUR", from_status=before, to_status=after, totals=amounts, **fields)


@dataclass(frozen=True, slots=True)
class When:
    """A command given to an order."""

    state: OrderState | None
    command: OrderCommand

    def then(self, *expected: OrderEvent) -> None:
        """Expect exactly these events, and that they fold."""
        recorded = record_decision(self.command, self.state)
        assert tuple(one.event for one in recorded) == expected
        fold(self.state, recorded)

    def state_after(self) -> OrderState:
        """Return the order after an accepted command."""
        state = fold(self.state, record_decision(self.command, self.state))
        assert state is not None
        return state

    def violations(self) -> tuple[Violation, ...]:
        """Expect a refusal for the values of the command; return all violations."""
        return self.then_refused(InvalidCommandError).violations

    def then_nothing(self) -> None:
        """Expect no event: the order is already as asked."""
        assert decide(self.command, self.state) == ()

    def then_refused(self, error: type[Refusal]) -> Refusal:
        """Expect a refusal of exactly this kind; return it."""
        with pytest.raises(error) as refused:
            decide(self.command, self.state)
        assert type(refused.value) is error
        if isinstance(refused.value, TransitionError):
            assert self.state is not None
            assert refused.value.current_status == status_at(self.state, self.command.now)
            assert refused.value.current_version == self.state.version
        return refused.value

    def then_amount_refused(self, error: type[AmountError], *, requested_minor: int, available_minor: int) -> None:
        """Expect a refusal of this kind with exactly these amounts."""
        refused = self.then_refused(error)
        assert self.state is not None
        assert (refused.requested_minor, refused.available_minor) == (requested_minor, available_minor)
        assert (refused.currency, refused.current_version) == (self.state.currency, self.state.version)

    def then_violates(self, *expected: tuple[str, str]) -> tuple[Violation, ...]:
        """Expect exactly these violations, as (pointer, code)."""
        violations = self.violations()
        assert tuple(("".join(f"/{step}" for step in each.path), each.code) for each in violations) == expected
        return violations


@dataclass(frozen=True, slots=True)
class Given:
    """An order with a history, or none."""

    state: OrderState | None

    def when(self, command: OrderCommand) -> When:
        """Give it a command."""
        return When(self.state, command)


def given_nothing() -> Given:
    """Return the start of a test without an order."""
    return Given(None)


def given(*verbs: str, **overrides: Unpack[CreateOrderFields]) -> Given:
    """Return the order ORDER_ID of `create_order_command`, driven by `verbs` (see `verb_command`)."""
    overrides.setdefault("order_id", ORDER_ID)
    return Given(fold(None, recorded_history(*verbs, **overrides)))
