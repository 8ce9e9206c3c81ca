"""Handle a command: load, fold, decide, render the answer, append it with the events, and tell what happened.

The answer is rendered before the append and recorded in the same commit, so nothing can fail after the commit and a
repeated key gets the same bytes for ever (decision 0041). Whatever raced is settled by the append alone: another
command with the same key (its answer is given), another writer on the stream (reload and decide again), another order
with the same external reference (refused, and the refusal recorded). Commands of this process on one order take turns
first, so that they do not race each other.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, assert_never
from uuid import UUID

from command_api.errors import (
    CONCURRENT_MODIFICATION,
    DUPLICATE_EXTERNAL_REFERENCE,
    IDEMPOTENCY_KEY_MISMATCH,
)
from command_api.order_problems import order_problem
from command_api.recent import RecentOrders
from command_api.turns import LineTooLongError, Turns
from domain.codec import decode, encode
from domain.order.commands import CreateOrder, OrderCommand
from domain.order.decide import decide
from domain.order.document import render_order
from domain.order.envelope import Actor, Envelope, RecordedOrderEvent
from domain.order.errors import AmountError, TransitionError
from domain.order.events import OrderEvent
from domain.order.ids import OrderId
from domain.order.state import OrderState, evolve, fold
from infra import clock
from infra.events import (
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

MAX_DECISIONS = 4
"""The first decision, and three more after somebody else appended first."""
STREAM_TYPE = "order"
CREATED = 201
"""The status of the answer to a create."""


class Caller(NamedTuple):
    """Who asks, under which key, and how to speak of the request in what is recorded."""

    tenant: Tenant
    key_id: str
    idempotency_key: str
    fingerprint: bytes
    path: str
    request_id: str
    traceparent: str | None


class Answer(NamedTuple):
    """What the client gets, now or then. `version` and `position` are of the order's last event at that time."""

    status: int
    body: bytes
    order_id: UUID
    version: int
    position: int
    replayed: bool
    code: str | None = None


@dataclass(frozen=True, slots=True)
class WritePath:
    """What handling needs from outside. `render` gives the bytes of an order; `now` and `new_id` ask the machine."""

    store: EventStore
    recent: RecentOrders = field(default_factory=RecentOrders)
    turns: Turns = field(default_factory=Turns)
    render: Callable[[OrderState], bytes] = render_order
    now: Callable[[], datetime] = clock.now
    new_id: Callable[[], UUID] = clock.new_id


class _Decision(NamedTuple):
    """One attempt: what to append, and what the order is afterwards (None: refused, nothing changes)."""

    append: AppendCommand
    state: OrderState | None
    code: str | None = None


MakeCommand = Callable[[datetime], OrderCommand]
"""Gives the command as of an instant: a decision that is made again is made at a later time."""


async def handle(path: WritePath, caller: Caller, make: MakeCommand, *, status: int) -> Answer:
    """Give the answer to a command, which is then recorded under the caller's key.

    Args:
        path: the store and what else is needed.
        caller: whose command it is; `idempotency_key` and `fingerprint` make a repetition known.
        make: the command as of now. For a create its `order_id` must be new.
        status: of the answer when the command is done.

    Raises:
        Problem: 404 no such order of this partner; 422 values or another request under this key; 409
            `concurrent_modification`. Nothing was written, and none is recorded under the key.
        EventStoreError: as `EventStore.append`; after all but a full queue the outcome is unknown.
    """
    command = make(path.now())
    if isinstance(command, CreateOrder):
        return await _settle(path, caller, command, make, status)  # nobody else knows this new order
    try:
        async with path.turns.take(caller.tenant.id, command.order_id):
            return await _settle(path, caller, make(path.now()), make, status)
    except LineTooLongError:
        raise Problem(CONCURRENT_MODIFICATION) from None


async def _settle(path: WritePath, caller: Caller, command: OrderCommand, make: MakeCommand, status: int) -> Answer:
    for _ in range(MAX_DECISIONS):
        state = await _load(path, caller.tenant, command)
        decision = _decide(path, caller, command, state, status)
        outcome = await path.store.append(decision.append)
        match outcome:
            case Appended():
                return _appended(path, decision, outcome)
            case Duplicate():
                return _replayed(outcome)
            case KeyMismatch():
                raise Problem(IDEMPOTENCY_KEY_MISMATCH)
            case ClaimTaken():
                return await _refuse_claim(path, caller, command.order_id)
            case WrongExpectedVersion():
                path.recent.forget(caller.tenant.id, command.order_id)
                command = make(path.now())
            case _:
                assert_never(outcome)
    raise Problem(CONCURRENT_MODIFICATION)


async def _load(path: WritePath, tenant: Tenant, command: OrderCommand) -> OrderState | None:
    if isinstance(command, CreateOrder):
        return None
    state = path.recent.get(tenant.id, command.order_id)
    if state is None:
        stored = await path.store.read_stream(tenant.id, command.order_id)
        state = fold(None, (decode(event.type, event.schema_version, event.payload) for event in stored))
        if state is None:
            # Another partner's order and no order at all are the same answer.
            raise Problem(problems.NOT_FOUND)
        path.recent.put(tenant.id, state)
    return state


def _decide(path: WritePath, caller: Caller, command: OrderCommand, state: OrderState | None, status: int) -> _Decision:
    version = state.version if state else NO_STREAM
    try:
        events = decide(command, state)
    except (TransitionError, AmountError) as error:
        refusal = order_problem(error)
        return _Decision(_refusal(caller, refusal, command.order_id, version), None, refusal.kind.code)
    new_events: list[NewEvent] = []
    for event in events:
        recorded = _record(path, caller, command, event, version + len(new_events) + 1)
        state = evolve(state, recorded)
        new_events.append(_new_event(recorded))
    if state is None:
        raise AssertionError("decide gives the first event of an order or refuses")
    append = AppendCommand(
        tenant_id=caller.tenant.id,
        key=caller.idempotency_key,
        fingerprint=caller.fingerprint,
        stream_id=command.order_id,
        stream_type=STREAM_TYPE,
        expected_version=version,
        events=tuple(new_events),
        status=status,
        response=path.render(state),
        claim=_claim(command, state),
    )
    return _Decision(append, state)


def _claim(command: OrderCommand, state: OrderState) -> str | None:
    """Claim the reference as it was recorded: normalised, so that two spellings of one reference are one."""
    if not isinstance(command, CreateOrder) or state.external_reference is None:
        return None
    return f"external_reference:{state.external_reference}"


def _record(
    path: WritePath, caller: Caller, command: OrderCommand, event: OrderEvent, sequence: int
) -> RecordedOrderEvent:
    return RecordedOrderEvent(
        event,
        Envelope(
            event_id=path.new_id(),
            order_id=command.order_id,
            sequence=sequence,
            occurred_at=command.now,
            partner_id=caller.tenant.partner_id,
            livemode=caller.tenant.livemode,
            actor=_actor(caller.tenant.partner_id, caller.key_id),
            request_id=caller.request_id,
            traceparent=caller.traceparent,
            correlation_id=caller.request_id,
            causation_id=None,
        ),
    )


@lru_cache(maxsize=1024)
def _actor(partner_id: str, key_id: str) -> Actor:
    return Actor(type="api_key", id=partner_id, key_id=key_id)


def _new_event(recorded: RecordedOrderEvent) -> NewEvent:
    event, envelope = recorded.event, recorded.envelope
    return NewEvent(
        event_id=envelope.event_id,
        type=event.type,
        schema_version=event.schema_version,
        occurred_at=envelope.occurred_at,
        payload=encode(event, envelope),
        actor=f"api_key:{envelope.actor.key_id}",
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        traceparent=envelope.traceparent,
    )


def _refusal(caller: Caller, refusal: Problem, order_id: OrderId, version: int) -> AppendCommand:
    """Give an append of no events: only the answer is recorded, if the order is still at `version`."""
    return AppendCommand(
        tenant_id=caller.tenant.id,
        key=caller.idempotency_key,
        fingerprint=caller.fingerprint,
        stream_id=order_id,
        stream_type=STREAM_TYPE,
        expected_version=version,
        events=(),
        status=refusal.kind.status,
        response=problems.render(refusal, caller.path, caller.request_id),
    )


async def _refuse_claim(path: WritePath, caller: Caller, order_id: OrderId) -> Answer:
    refusal = Problem(DUPLICATE_EXTERNAL_REFERENCE)
    append = _refusal(caller, refusal, order_id, NO_STREAM)
    outcome = await path.store.append(append)
    match outcome:
        case Appended():
            return _appended(path, _Decision(append, None, refusal.kind.code), outcome)
        case Duplicate():
            return _replayed(outcome)
        case KeyMismatch():
            raise Problem(IDEMPOTENCY_KEY_MISMATCH)
        case ClaimTaken() | WrongExpectedVersion():
            raise AssertionError("an answer alone claims nothing, and nobody else knows this new order id")
        case _:
            assert_never(outcome)


def _appended(path: WritePath, decision: _Decision, outcome: Appended) -> Answer:
    append = decision.append
    if decision.state is not None:
        path.recent.put(append.tenant_id, decision.state)
    return Answer(
        append.status, append.response, append.stream_id, outcome.version, outcome.position, False, decision.code
    )


def _replayed(outcome: Duplicate) -> Answer:
    return Answer(outcome.status, outcome.response, outcome.stream_id, outcome.version, outcome.position, True)


def decide_create(path: WritePath, caller: Caller, command: CreateOrder) -> AppendCommand:
    """Give what a create appends under the caller's key: its event and its answer. For creates appended together.

    Raises:
        InvalidCommandError: values break rules.
    """
    return _decide(path, caller, command, None, CREATED).append


def refuse_reference(caller: Caller, order_id: OrderId) -> AppendCommand:
    """Give what is appended under the caller's key when the external reference of a new order is taken."""
    return _refusal(caller, Problem(DUPLICATE_EXTERNAL_REFERENCE), order_id, NO_STREAM)
