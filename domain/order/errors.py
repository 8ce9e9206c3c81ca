"""The errors of an order, as one tree. Leaves have a stable `code`; fields are typed, so nobody parses messages.

OrderError (domain.errors.DomainError)
├── InvalidCommandError                 invalid_command: values break rules; all of them are listed
│   └── WithdrawnCurrencyError          the only broken rule: the currency of a new order is not active any more
├── OrderNotFoundError                  order_not_found
├── OrderExistsError                    order_exists: created twice under one id
├── TransitionError                     the status, or what is left of the amounts, does not allow it
│   ├── OrderNotAmendableError          order_not_amendable
│   ├── FieldLockedError                field_locked: `requested` names the field
│   ├── NotAuthorizedError              not_authorized
│   ├── AlreadyAuthorizedError          already_authorized
│   ├── AlreadyCapturedError            already_captured
│   ├── NothingToVoidError              nothing_to_void
│   ├── PartlyCapturedError             partially_captured_use_void
│   ├── CaptureNotCancelableError       already_captured_use_refund
│   ├── NotCapturedError                not_captured
│   ├── FullyRefundedError              fully_refunded
│   ├── NothingToSettleError            nothing_to_settle
│   ├── OrderTerminalError              order_terminal
│   └── InvalidTransitionError          invalid_transition: no verb leads from this status to the one asked for
├── AmountError                         the status allows it, the amount does not
│   ├── AmountZeroError                 amount_zero
│   ├── AmountExceedsCapturableError    amount_exceeds_capturable
│   ├── AmountExceedsRefundableError    amount_exceeds_refundable
│   ├── AmountExceedsCapturedError      amount_exceeds_captured: more settled than was captured and is not settled
│   └── SettlementMismatchError         settlement_mismatch: gross is not fee plus net
├── UnexpectedEventError                unexpected_event: the stream holds what `decide` never returns
└── StaleStateError                     stale_state: a cached state of another shape; fold the events again
"""

from dataclasses import dataclass

from domain.errors import DomainError
from domain.money import Currency
from domain.order.status import Status


class OrderError(DomainError):
    """Base of everything an order refuses."""

    code = "order_error"

    def __init_subclass__(cls, *, code: str | None = None) -> None:
        """Set the code that a subclass names; others inherit theirs."""
        if code is not None:
            cls.code = code


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: where (a path in the request's own names and keys), which, and a sentence without the value."""

    path: tuple[str | int, ...]
    code: str
    detail: str


class InvalidCommandError(OrderError, code="invalid_command"):
    """Values of a command break rules."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__(", ".join(dict.fromkeys(violation.code for violation in violations)))
        self.violations = violations


class WithdrawnCurrencyError(InvalidCommandError):
    """The only broken rule of a new order is that its currency is not active any more; it was once."""


class OrderNotFoundError(OrderError, code="order_not_found"):
    """A verb for an order that was never created."""


class OrderExistsError(OrderError, code="order_exists"):
    """An order with this id exists."""


class TransitionError(OrderError, code="transition_refused"):
    """The order's status does not allow what was `requested` (a verb, or the status asked for)."""

    def __init__(
        self,
        current_status: Status,
        requested: str,
        allowed_transitions: tuple[Status, ...],
        current_version: int,
    ) -> None:
        super().__init__(f"an order that is {current_status} does not allow {requested}")
        self.current_status = current_status
        self.requested = requested
        self.allowed_transitions = allowed_transitions
        self.current_version = current_version


class OrderNotAmendableError(TransitionError, code="order_not_amendable"):
    """Lines change only while the order is pending."""


class FieldLockedError(TransitionError, code="field_locked"):
    """The field named by `requested` cannot be changed any more."""


class NotAuthorizedError(TransitionError, code="not_authorized"):
    """Nothing is authorized yet."""


class AlreadyAuthorizedError(TransitionError, code="already_authorized"):
    """The total is, or was, authorized."""


class AlreadyCapturedError(TransitionError, code="already_captured"):
    """All that was authorized is captured."""


class NothingToVoidError(TransitionError, code="nothing_to_void"):
    """No authorized amount is left to release."""


class PartlyCapturedError(TransitionError, code="partially_captured_use_void"):
    """An amount was captured: release the rest by a void."""


class CaptureNotCancelableError(TransitionError, code="already_captured_use_refund"):
    """The order was captured: use a refund."""


class NotCapturedError(TransitionError, code="not_captured"):
    """Nothing was captured, so nothing can be refunded."""


class FullyRefundedError(TransitionError, code="fully_refunded"):
    """All that was captured was refunded."""


class NothingToSettleError(TransitionError, code="nothing_to_settle"):
    """Nothing captured is left to settle."""


class OrderTerminalError(TransitionError, code="order_terminal"):
    """The order is over."""


class InvalidTransitionError(TransitionError, code="invalid_transition"):
    """No verb leads from the current status to the one asked for."""


class AmountError(OrderError, code="amount_refused"):
    """The status allows it, the amount does not. `requested_minor` and `available_minor` are minor units."""

    def __init__(self, requested_minor: int, available_minor: int, currency: Currency, current_version: int) -> None:
        super().__init__(f"{requested_minor} minor units of {currency.code} requested, {available_minor} available")
        self.requested_minor = requested_minor
        self.available_minor = available_minor
        self.currency = currency
        self.current_version = current_version


class AmountZeroError(AmountError, code="amount_zero"):
    """An amount is more than zero."""


class AmountExceedsCapturableError(AmountError, code="amount_exceeds_capturable"):
    """More than is authorized and not captured."""


class AmountExceedsRefundableError(AmountError, code="amount_exceeds_refundable"):
    """More than was captured and not refunded."""


class AmountExceedsCapturedError(AmountError, code="amount_exceeds_captured"):
    """More than was captured and not settled."""


class SettlementMismatchError(AmountError, code="settlement_mismatch"):
    """The gross amount is not the fee and the net amount together (which is `available_minor`)."""


class UnexpectedEventError(OrderError, code="unexpected_event"):
    """An event that does not continue its stream, or whose totals are not the ledger's."""


class StaleStateError(OrderError, code="stale_state"):
    """A cached state that other code wrote; the events are the truth."""
