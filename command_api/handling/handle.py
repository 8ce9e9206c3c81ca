"""Handle a command: load, fold, decide, render the response, append it with the events.

The response is rendered before the append and recorded in the same commit, so nothing can fail after the commit and a
repeated key gets the same bytes for at least 7 days (decision 0041). The append alone decides every race: with another
command under the same key (return its response), with another writer on the stream (load and decide again), with
another order for an external reference (refuse, and record the refusal). Commands of this process on one order wait for
each other first, so that they do not race.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple, assert_never
from uuid import UUID

from command_api.errors import (
    CONCURRENT_MODIFICATION,
    DUPLICATE_EXTERNAL_REFERENCE,
    PRECONDITION_FAILED,
)
from command_api.handling.appends import (
    Caller,
    CommandResponse,
    appended,
    key_and_stream,
    new_event,
    probe_for_recorded_response,
    record,
    refusal_append,
    replayed,
)
from command_api.handling.backoff import MAX_DECISIONS, back_off
from command_api.handling.if_match import Versions
from command_api.handling.key_mismatch import key_mismatch
from command_api.handling.order_locks import OrderLocks, TooManyWaitingError
from command_api.handling.order_state_cache import OrderStateCache
from command_api.order_problems import order_problem
from domain.codec import decode
from domain.order.commands import CreateOrder, OrderCommand, UpdateDetails
from domain.order.decide import decide
from domain.order.document import render_order
from domain.order.errors import AmountError, InvalidCommandError, TransitionError, WithdrawnCurrencyError
from domain.order.ids import OrderId
from domain.order.state import OrderState, evolve, fold
from infra import clock
from infra.event_store.protocol import (
    NO_STREAM,
    AppendCommand,
    Appended,
    ClaimTaken,
    Duplicate,
    EventStore,
    KeyMismatch,
    NewEvent,
    WrongExpectedVersion,
)
from infra.http import problems
from infra.http.problems import Problem
from infra.tenancy import Tenant

_NO_STRONG_ETAG: Final = (
    "If-Match holds no strong ETag of an order, and a weak one never matches: send the ETag as you got it, without W/."
)
CREATED = 201
"""The status of the response to a create."""


@dataclass(frozen=True, slots=True)
class WritePath:
    """What handling needs from outside. `render` returns the bytes of an order; `now` and `new_id` ask the machine.

    `back_off` waits after the n-th lost race of a command.
    """

    store: EventStore
    order_states: OrderStateCache = field(default_factory=OrderStateCache)
    order_locks: OrderLocks = field(default_factory=OrderLocks)
    render: Callable[[OrderState], bytes] = render_order
    now: Callable[[], datetime] = clock.now
    new_id: Callable[[], UUID] = clock.new_id
    back_off: Callable[[int], Awaitable[None]] = back_off


class _Decision(NamedTuple):
    """One attempt: what to append, and what the order is afterwards (None: refused, nothing changes)."""

    append: AppendCommand
    state: OrderState | None
    code: str | None = None


MakeCommand = Callable[[datetime], OrderCommand]
"""Returns the command as of an instant: a repeated decision is made at a later time."""


async def handle(
    path: WritePath, caller: Caller, make: MakeCommand, *, status: int, expected: Versions | None = None
) -> CommandResponse:
    """Return the response to a command, which is then recorded under the caller's key.

    Args:
        path: the store and what else is needed.
        caller: whose command it is; `idempotency_key` and `fingerprint` identify a retry.
        make: the command as of now. For a create its `order_id` must be new.
        status: of the response when the command is done.
        expected: the versions of the order that the caller may have seen; None when that does not matter.

    Raises:
        Problem: 404 no such order of this partner; 422 values or another request under this key; 412 the order is at
            another version than expected; 409 `concurrent_modification`. Nothing was written, and no response is
            recorded under the key.
        EventStoreError: as `EventStore.append`; after `AppendTimeoutError` and `StoreUnavailableError` the outcome is
            unknown.
    """
    command = make(path.now())
    if isinstance(command, CreateOrder):
        return await _decide_and_append(path, caller, command, make, status, None)  # nobody else knows this order
    try:
        async with path.order_locks.take(caller.tenant.id, command.order_id):
            return await _decide_and_append(path, caller, make(path.now()), make, status, expected)
    except TooManyWaitingError:
        raise Problem(CONCURRENT_MODIFICATION) from None


async def _decide_and_append(
    path: WritePath, caller: Caller, command: OrderCommand, make: MakeCommand, status: int, expected: Versions | None
) -> CommandResponse:
    for lost in range(MAX_DECISIONS):
        if lost:
            path.order_states.forget(caller.tenant.id, command.order_id)
            await path.back_off(lost)
            command = make(path.now())
        state = await _load(path, caller.tenant, command, max(expected or (0,)))
        if expected is not None and state is not None and state.version not in expected:
            return await _refuse_version(path, caller, command.order_id, expected)
        try:
            decision = _decide(path, caller, command, state, status)
        except InvalidCommandError as error:
            if state is None and not isinstance(error, WithdrawnCurrencyError):
                raise  # it was never acceptable
            found = await _find_response(path, caller, command.order_id)
            if isinstance(found, CommandResponse):
                return found
            raise
        response = await _append(path, caller, command.order_id, decision)
        if response is not None:
            return response
    raise Problem(CONCURRENT_MODIFICATION)


async def _append(path: WritePath, caller: Caller, order_id: OrderId, decision: _Decision) -> CommandResponse | None:
    """Append what was decided and return the response that is recorded now; None when the order has moved on."""
    outcome = await path.store.append(decision.append)
    match outcome:
        case Appended():
            if decision.state is not None:
                path.order_states.put(caller.tenant.id, decision.state)
            return appended(decision.append, outcome, decision.code)
        case Duplicate():
            return replayed(outcome)
        case KeyMismatch():
            raise key_mismatch(caller, outcome)
        case ClaimTaken():
            # A refusal claims nothing, so this happens once.
            refusal, version = _reference_taken(outcome.stream_id), decision.append.expected_version
            return await _append(path, caller, order_id, _refusal_decision(caller, refusal, order_id, version))
        case WrongExpectedVersion():
            return None
        case _:
            assert_never(outcome)


async def _load(path: WritePath, tenant: Tenant, command: OrderCommand, seen_version: int) -> OrderState | None:
    """Return the order as it was last seen here; read it if that is older than what the caller has seen.

    Read it whole: after a restore of the database, the cached state may have no place in its history.
    """
    if isinstance(command, CreateOrder):
        return None
    state = path.order_states.get(tenant.id, command.order_id)
    if state is None or state.version < seen_version:
        stored = await path.store.read_stream(tenant.id, command.order_id)
        state = fold(None, (decode(event.type, event.schema_version, event.payload) for event in stored))
        if state is None:
            # Another partner's order and no order at all get the same response.
            raise Problem(problems.NOT_FOUND)
        path.order_states.put(tenant.id, state)
    return state


def _decide(path: WritePath, caller: Caller, command: OrderCommand, state: OrderState | None, status: int) -> _Decision:
    version = state.version if state else NO_STREAM
    try:
        events = decide(command, state)
    except (TransitionError, AmountError) as error:
        return _refusal_decision(caller, order_problem(error), command.order_id, version)
    new_events: list[NewEvent] = []
    for event in events:
        recorded = record(event, command, caller, version + len(new_events) + 1, path.new_id())
        state = evolve(state, recorded)
        new_events.append(new_event(recorded))
    if state is None:
        raise AssertionError("decide returns the first event of an order or refuses")
    response, claim, key = path.render(state), _claim(command, state), key_and_stream(caller, command.order_id)
    return _Decision(AppendCommand(*key, version, tuple(new_events), status, response, claim), state)


def _claim(command: OrderCommand, state: OrderState) -> str | None:
    """Claim the reference as it was recorded: normalised, so that two spellings of one reference are one."""
    if not isinstance(command, CreateOrder | UpdateDetails) or command.external_reference is None:
        return None
    return f"external_reference:{state.external_reference}"


def _refusal_decision(caller: Caller, refusal: Problem, order_id: OrderId, version: int) -> _Decision:
    return _Decision(refusal_append(caller, refusal, order_id, version), None, refusal.kind.code)


async def _refuse_version(path: WritePath, caller: Caller, order_id: OrderId, expected: Versions) -> CommandResponse:
    """Refuse an edit of another version, unless it is a retry: the edit itself may have moved the order on."""
    found = await _find_response(path, caller, order_id)
    if isinstance(found, CommandResponse):
        return found
    detail = None if expected else _NO_STRONG_ETAG
    raise Problem(PRECONDITION_FAILED, detail, headers={"etag": f'"{found}"'}, members={"current_version": found})


async def _find_response(path: WritePath, caller: Caller, order_id: OrderId) -> CommandResponse | int:
    """Return what is recorded under the caller's key; if nothing is, the version of the order.

    What is refused without being recorded is refused only after this: the first request under the key may have been
    accepted and may have caused the very change that now stands in the way.

    Raises:
        Problem: 422 another request under this key.
    """
    outcome = await path.store.append(probe_for_recorded_response(caller, Problem(PRECONDITION_FAILED), order_id))
    match outcome:
        case Duplicate():
            return replayed(outcome)
        case KeyMismatch():
            raise key_mismatch(caller, outcome)
        case WrongExpectedVersion():
            return outcome.actual_version
        case Appended() | ClaimTaken():
            raise AssertionError("no stream has such a version, and a refusal claims nothing")
        case _:
            assert_never(outcome)


def decide_create(path: WritePath, caller: Caller, command: CreateOrder) -> AppendCommand:
    """Return what a create appends under the caller's key: its event and its response. For creates appended together.

    Raises:
        InvalidCommandError: values break rules.
    """
    return _decide(path, caller, command, None, CREATED).append


def refuse_reference(caller: Caller, order_id: OrderId, owner: UUID) -> AppendCommand:
    """Return what is appended under the caller's key when the external reference of a new order is that of `owner`."""
    return refusal_append(caller, _reference_taken(owner), order_id, NO_STREAM)


def _reference_taken(owner: UUID) -> Problem:
    """Return the refusal of a reference; it is unique per partner and mode, so its owner is one of the caller's."""
    return Problem(DUPLICATE_EXTERNAL_REFERENCE, members={"existing_order_id": str(owner)})
