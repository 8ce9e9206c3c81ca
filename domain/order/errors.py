"""What an order refuses, as one tree. Leaves have a stable `code`; the fields are typed, so nobody parses messages.

OrderError (domain.errors.DomainError)
├── InvalidCommandError                 invalid_command: values break rules; all of them are listed, at most 20
├── OrderNotFoundError                  order_not_found
├── OrderExistsError                    order_exists: created twice under one id
├── TransitionError                     the status does not allow it
│   ├── NotAuthorizedError              not_authorized
│   ├── AlreadyAuthorizedError          already_authorized
│   ├── AlreadyCapturedError            already_captured
│   ├── CaptureNotCancelableError       already_captured_use_refund
│   ├── OrderTerminalError              order_terminal
│   └── InvalidTransitionError          invalid_transition: no verb leads from this status to the one asked for
├── UnexpectedEventError                unexpected_event: the stream holds what `decide` never yields
└── StaleStateError                     stale_state: a cached state of another shape; fold the events again
"""

from dataclasses import dataclass

from domain.errors import DomainError
from domain.order.status import Status

MAX_VIOLATIONS = 20


class OrderError(DomainError):
    """Base of everything an order refuses."""

    code = "order_error"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: where (a path in the request's own names), which, and a sentence without the value."""

    path: tuple[str | int, ...]
    code: str
    detail: str

    @property
    def pointer(self) -> str:
        """Give the path as a JSON pointer (RFC 6901); it holds only field names and places, never input."""
        return "".join(f"/{step}" for step in self.path)


class InvalidCommandError(OrderError):
    """Values of a command break rules."""

    code = "invalid_command"

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__("; ".join(f"{violation.pointer}: {violation.detail}" for violation in violations))
        self.violations = violations


class OrderNotFoundError(OrderError):
    """A verb for an order that was never created."""

    code = "order_not_found"


class OrderExistsError(OrderError):
    """The id belongs to an order already."""

    code = "order_exists"


class TransitionError(OrderError):
    """The order's status does not allow what was `requested` (a verb, or the status asked for)."""

    code = "transition_refused"

    def __init__(
        self,
        current_status: Status,
        requested: str,
        allowed_transitions: tuple[Status, ...],
        current_version: int,
    ) -> None:
        super().__init__(f"an order that is {current_status} does not allow: {requested}")
        self.current_status = current_status
        self.requested = requested
        self.allowed_transitions = allowed_transitions
        self.current_version = current_version


class NotAuthorizedError(TransitionError):
    """Nothing is authorized yet."""

    code = "not_authorized"


class AlreadyAuthorizedError(TransitionError):
    """The total is, or was, authorized."""

    code = "already_authorized"


class AlreadyCapturedError(TransitionError):
    """All that was authorized is captured."""

    code = "already_captured"


class CaptureNotCancelableError(TransitionError):
    """Money was taken: give it back by a refund."""

    code = "already_captured_use_refund"


class OrderTerminalError(TransitionError):
    """The order is over."""

    code = "order_terminal"


class InvalidTransitionError(TransitionError):
    """No verb leads from the current status to the one asked for."""

    code = "invalid_transition"


class UnexpectedEventError(OrderError):
    """An event that does not continue its stream, or whose totals are not the ledger's."""

    code = "unexpected_event"


class StaleStateError(OrderError):
    """A cached state written by code with another idea of it; the events are the truth."""

    code = "stale_state"
