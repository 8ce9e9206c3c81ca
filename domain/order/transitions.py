"""The matrix of statuses and verbs, as one table. Tests, docs/states.md and `allowed_transitions` come from it.

A cell names the statuses that a verb may lead to, or the error that refuses it, or is None where the timer does
nothing. Verbs check the status first and amounts second (`domain.order.decisions`). Where there are several statuses
the ledger decides: the first one when the verb covers all that is left, as setting a status does. An order whose time
has run out is judged by the status that the timer will give it (`domain.order.due`).
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from domain.order.due import status_at
from domain.order.errors import (
    AlreadyAuthorizedError,
    AlreadyCapturedError,
    CaptureNotCancelableError,
    InvalidTransitionError,
    NotAuthorizedError,
    NotCapturedError,
    NothingToSettleError,
    NothingToVoidError,
    OrderNotAmendableError,
    OrderTerminalError,
    PartlyCapturedError,
    TransitionError,
)
from domain.order.state import OrderState
from domain.order.status import Status


class Verb(StrEnum):
    """What can be asked of an order that exists; `expire` only by the timer."""

    AMEND = "amend"
    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    CANCEL = "cancel"
    REFUND = "refund"
    SETTLE = "settle"
    EXPIRE = "expire"


Moves: TypeAlias = tuple[Status, ...]
Cell: TypeAlias = Moves | type[TransitionError] | None

_OVER: Final[Mapping[Verb, Cell]] = MappingProxyType(
    {
        Verb.AMEND: OrderNotAmendableError,
        Verb.AUTHORIZE: OrderTerminalError,
        Verb.CAPTURE: OrderTerminalError,
        Verb.VOID: NothingToVoidError,
        Verb.CANCEL: OrderTerminalError,
        Verb.REFUND: NotCapturedError,
        Verb.SETTLE: NothingToSettleError,
        Verb.EXPIRE: None,
    }
)
MATRIX: Final[Mapping[Status, Mapping[Verb, Cell]]] = MappingProxyType(
    {
        Status.PENDING: {
            Verb.AMEND: (Status.PENDING,),
            Verb.AUTHORIZE: (Status.AUTHORIZED,),
            Verb.CAPTURE: NotAuthorizedError,
            Verb.VOID: NothingToVoidError,
            Verb.CANCEL: (Status.CANCELED,),
            Verb.REFUND: NotCapturedError,
            Verb.SETTLE: NothingToSettleError,
            Verb.EXPIRE: (Status.EXPIRED,),
        },
        Status.AUTHORIZED: {
            Verb.AMEND: OrderNotAmendableError,
            Verb.AUTHORIZE: AlreadyAuthorizedError,
            Verb.CAPTURE: (Status.CAPTURED, Status.PARTIALLY_CAPTURED),
            Verb.VOID: (Status.CANCELED,),
            Verb.CANCEL: (Status.CANCELED,),
            Verb.REFUND: NotCapturedError,
            Verb.SETTLE: NothingToSettleError,
            Verb.EXPIRE: (Status.EXPIRED,),
        },
        Status.PARTIALLY_CAPTURED: {
            Verb.AMEND: OrderNotAmendableError,
            Verb.AUTHORIZE: AlreadyAuthorizedError,
            Verb.CAPTURE: (Status.CAPTURED, Status.PARTIALLY_CAPTURED),
            Verb.VOID: (Status.CAPTURED, Status.SETTLED),
            Verb.CANCEL: PartlyCapturedError,
            Verb.REFUND: (Status.PARTIALLY_CAPTURED,),
            Verb.SETTLE: (Status.PARTIALLY_CAPTURED,),
            Verb.EXPIRE: (Status.CAPTURED, Status.SETTLED),
        },
        Status.CAPTURED: {
            Verb.AMEND: OrderNotAmendableError,
            Verb.AUTHORIZE: AlreadyAuthorizedError,
            Verb.CAPTURE: AlreadyCapturedError,
            Verb.VOID: NothingToVoidError,
            Verb.CANCEL: CaptureNotCancelableError,
            Verb.REFUND: (Status.CAPTURED,),
            Verb.SETTLE: (Status.SETTLED, Status.CAPTURED),
            Verb.EXPIRE: None,
        },
        Status.SETTLED: {
            Verb.AMEND: OrderNotAmendableError,
            Verb.AUTHORIZE: AlreadyAuthorizedError,
            Verb.CAPTURE: AlreadyCapturedError,
            Verb.VOID: NothingToVoidError,
            Verb.CANCEL: CaptureNotCancelableError,
            Verb.REFUND: (Status.SETTLED,),
            Verb.SETTLE: NothingToSettleError,
            Verb.EXPIRE: None,
        },
        Status.CANCELED: _OVER,
        Status.EXPIRED: _OVER,
    }
)

SETTING_VERBS: Final = (Verb.AUTHORIZE, Verb.CAPTURE, Verb.CANCEL, Verb.SETTLE)
"""The verbs that set a status."""


def _verbs_to() -> dict[tuple[Status, Status], Verb]:
    found: dict[tuple[Status, Status], Verb] = {}
    for status, row in MATRIX.items():
        for verb in SETTING_VERBS:
            cell = row[verb]
            if isinstance(cell, tuple) and cell[0] is not status:
                found[status, cell[0]] = verb
    return found


_VERB_TO: Final[Mapping[tuple[Status, Status], Verb]] = MappingProxyType(_verbs_to())
_ALLOWED: Final[Mapping[Status, tuple[Status, ...]]] = MappingProxyType(
    {status: tuple(target for before, target in _VERB_TO if before is status) for status in Status}
)


def allowed_transitions(status: Status) -> tuple[Status, ...]:
    """Return the statuses that an order can be set to from this one, in the table's order."""
    return _ALLOWED[status]


def require(verb: Verb, state: OrderState, now: datetime) -> None:
    """Raise unless the table allows the verb at `now`.

    Raises:
        TransitionError: the leaf that the table holds.
    """
    cell = MATRIX[status_at(state, now)][verb]
    if not isinstance(cell, tuple):
        raise refusal(cell or InvalidTransitionError, verb, state, now)


def refusal(error: type[TransitionError], requested: str, state: OrderState, now: datetime) -> TransitionError:
    """Return the error that refuses what was `requested` of an order at `now`."""
    status = status_at(state, now)
    return error(status, str(requested), _ALLOWED[status], state.version)


def verb_to(target: Status, state: OrderState, now: datetime) -> Verb | None:
    """Return the verb that leads to `target` from the order's status at `now`; None when it is that status already.

    Raises:
        InvalidTransitionError: no verb does.
    """
    status = status_at(state, now)
    if target is status:
        return None
    verb = _VERB_TO.get((status, target))
    if verb is None:
        raise refusal(InvalidTransitionError, target, state, now)
    return verb
