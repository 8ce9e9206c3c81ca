"""The matrix of statuses and verbs, as one table. Tests, docs/states.md and `allowed_transitions` come from it.

A cell either leads to a status or names the error that refuses the verb. Verbs decide by the status alone; amounts
are checked in `domain.order.decide`. A row stands for every status that an order can come to, and for no other: to a
status without a row no verb leads yet, so setting it is an invalid transition.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from domain.order.errors import (
    AlreadyAuthorizedError,
    AlreadyCapturedError,
    CaptureNotCancelableError,
    InvalidTransitionError,
    NotAuthorizedError,
    OrderTerminalError,
    TransitionError,
)
from domain.order.status import Status


class Verb(StrEnum):
    """What can be asked of an order that exists."""

    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    CANCEL = "cancel"


Cell = Status | type[TransitionError]

MATRIX: Mapping[Status, Mapping[Verb, Cell]] = MappingProxyType(
    {
        Status.PENDING: {
            Verb.AUTHORIZE: Status.AUTHORIZED,
            Verb.CAPTURE: NotAuthorizedError,
            Verb.CANCEL: Status.CANCELED,
        },
        Status.AUTHORIZED: {
            Verb.AUTHORIZE: AlreadyAuthorizedError,
            Verb.CAPTURE: Status.CAPTURED,
            Verb.CANCEL: Status.CANCELED,
        },
        Status.CAPTURED: {
            Verb.AUTHORIZE: AlreadyAuthorizedError,
            Verb.CAPTURE: AlreadyCapturedError,
            Verb.CANCEL: CaptureNotCancelableError,
        },
        Status.CANCELED: {
            Verb.AUTHORIZE: OrderTerminalError,
            Verb.CAPTURE: OrderTerminalError,
            Verb.CANCEL: OrderTerminalError,
        },
    }
)

_VERB_TO: Mapping[tuple[Status, Status], Verb] = MappingProxyType(
    {(status, cell): verb for status, row in MATRIX.items() for verb, cell in row.items() if isinstance(cell, Status)}
)
_ALLOWED: Mapping[Status, tuple[Status, ...]] = MappingProxyType(
    {status: tuple(cell for cell in row.values() if isinstance(cell, Status)) for status, row in MATRIX.items()}
)


def allowed_transitions(status: Status) -> tuple[Status, ...]:
    """Give the statuses that a verb reaches from here, in the table's order."""
    return _ALLOWED[status]


def require(verb: Verb, status: Status, version: int) -> Status:
    """Give the status that `verb` leads to.

    Raises:
        TransitionError: the leaf that the table names; `version` is the stream version it was judged at.
    """
    cell = MATRIX[status][verb]
    if isinstance(cell, Status):
        return cell
    raise cell(status, verb.value, _ALLOWED[status], version)


def verb_to(target: Status, status: Status, version: int) -> Verb | None:
    """Give the verb that leads from `status` to `target`; None when the order stands there already.

    Raises:
        InvalidTransitionError: no verb does.
    """
    if target is status:
        return None
    verb = _VERB_TO.get((status, target))
    if verb is None:
        raise InvalidTransitionError(status, target.value, _ALLOWED[status], version)
    return verb
