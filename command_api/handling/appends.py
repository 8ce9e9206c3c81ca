"""What one command appends (its events, or its refusal, under the caller's key) and the response it gets."""

from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from domain.codec import encode
from domain.order.commands import OrderCommand
from domain.order.envelope import Actor, Envelope, RecordedOrderEvent
from domain.order.events import OrderEvent
from domain.order.ids import OrderId
from infra.event_store.protocol import AppendCommand, Appended, Duplicate, NewEvent
from infra.http import problems
from infra.http.problems import Problem
from infra.tenancy import Tenant

STREAM_TYPE = "order"
_NO_VERSION = -1


class Caller(NamedTuple):
    """Who sends a command, under which key, and what is recorded of the request.

    `system` names the part of this system that acts by itself; there is no API key then. `body` is the canonical one.
    """

    tenant: Tenant
    key_id: str
    idempotency_key: str
    fingerprint: bytes
    path: str
    request_id: str
    traceparent: str | None
    system: str | None = None
    body: bytes = b""


class CommandResponse(NamedTuple):
    """The response to a command, now or recorded before.

    `version` and `position` are of the order's last event at that time.
    """

    status: int
    body: bytes
    order_id: UUID
    version: int
    position: int
    replayed: bool
    code: str | None = None


def record(
    event: OrderEvent, command: OrderCommand, caller: Caller, sequence: int, event_id: UUID
) -> RecordedOrderEvent:
    """Return an event with its envelope: its place in the stream, and who caused it when."""
    return RecordedOrderEvent(
        event,
        Envelope(
            event_id=event_id,
            order_id=command.order_id,
            sequence=sequence,
            occurred_at=command.now,
            partner_id=caller.tenant.partner_id,
            livemode=caller.tenant.livemode,
            actor=_actor(caller.tenant.partner_id, caller.key_id, caller.system),
            request_id=caller.request_id,
            traceparent=caller.traceparent,
            correlation_id=caller.request_id,
            causation_id=None,
        ),
    )


@lru_cache(maxsize=1024)
def _actor(partner_id: str, key_id: str, system: str | None) -> Actor:
    if system is not None:
        return Actor(type="system", id=system, key_id=None)
    return Actor(type="api_key", id=partner_id, key_id=key_id)


def new_event(recorded: RecordedOrderEvent) -> NewEvent:
    """Return a recorded event as the store takes it."""
    event, envelope = recorded.event, recorded.envelope
    actor = envelope.actor
    return NewEvent(
        event_id=envelope.event_id,
        type=event.type,
        schema_version=event.schema_version,
        occurred_at=envelope.occurred_at,
        payload=encode(event, envelope),
        actor=f"{actor.type}:{actor.key_id or actor.id}",
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        traceparent=envelope.traceparent,
    )


def key_and_stream(caller: Caller, order_id: OrderId) -> tuple[str, str, bytes, UUID, str]:
    """Return the first fields of an append: under which key of which tenant it is recorded, and on which stream."""
    return caller.tenant.id, caller.idempotency_key, caller.fingerprint, order_id, STREAM_TYPE


def refusal_append(caller: Caller, refusal: Problem, order_id: OrderId, version: int) -> AppendCommand:
    """Return an append without events: only the refusal is recorded, if the order is still at `version`."""
    response = problems.render(refusal, caller.path, caller.request_id)
    return AppendCommand(*key_and_stream(caller, order_id), version, (), refusal.kind.status, response)


def probe_for_recorded_response(caller: Caller, refusal: Problem, order_id: OrderId) -> AppendCommand:
    """Return an append that only finds out whether the key was used: it expects a version that no stream has."""
    return refusal_append(caller, refusal, order_id, _NO_VERSION)


def appended(append: AppendCommand, outcome: Appended, code: str | None = None) -> CommandResponse:
    """Return the response that this append recorded; `code` is that of a refusal."""
    return CommandResponse(
        append.status, append.response, append.stream_id, outcome.version, outcome.position, False, code
    )


def replayed(outcome: Duplicate) -> CommandResponse:
    """Return the response that an earlier request recorded."""
    return CommandResponse(
        outcome.status, outcome.response, outcome.stream_id, outcome.version, outcome.position, replayed=True
    )
