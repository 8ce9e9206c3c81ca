"""Builders of commands for the event store: a test names only what it is about."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from infra.clock import new_id
from infra.event_store.protocol import AppendCommand, NewEvent

A_MOMENT = datetime(2026, 11, 23, 1, 2, 3, 123456, tzinfo=UTC)
SAME_REQUEST = b"\x01" * 32
OTHER_REQUEST = b"\x02" * 32


def an_event(
    payload: bytes = b'{"a":1}', *, actor: str = "api_key:abcd1234", traceparent: str | None = None
) -> NewEvent:
    """Return one event with an id of its own."""
    return NewEvent(
        event_id=new_id(),
        type="thing.happened",
        schema_version=1,
        occurred_at=A_MOMENT,
        payload=payload,
        actor=actor,
        correlation_id="c-1",
        causation_id=None,
        traceparent=traceparent,
    )


def a_command(
    *,
    tenant: str = "acme.test",
    key: str | None = None,
    stream: UUID | None = None,
    expected: int = 0,
    events: Sequence[NewEvent] | int = 1,
    claim: str | None = None,
    fingerprint: bytes = SAME_REQUEST,
    response: bytes = b'{"ok":true}',
    status: int = 201,
) -> AppendCommand:
    """Return a command; without a key or a stream it has ones that nobody else has."""
    return AppendCommand(
        tenant_id=tenant,
        key=key or str(new_id()),
        fingerprint=fingerprint,
        stream_id=stream or new_id(),
        stream_type="thing",
        expected_version=expected,
        events=tuple(an_event() for _ in range(events)) if isinstance(events, int) else tuple(events),
        status=status,
        response=response,
        claim=claim,
    )


def names(command: AppendCommand) -> set[tuple[str, object]]:
    """Return what no two commands of a batch may have in common."""
    tenant = command.tenant_id
    claim = set() if command.claim is None else {(f"claim {tenant}", command.claim)}
    return {(f"stream {tenant}", command.stream_id), (f"key {tenant}", command.key), *claim}
