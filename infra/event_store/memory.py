"""The event store in memory: the same protocol, the same outcomes, nothing durable. For tests and demonstrations.

The suite in `tests/support/event_store/contract.py` tests this store and `infra.event_store.postgres` alike, so a test
that passes with this one says something about the real one.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from infra import clock
from infra.event_store.protocol import (
    FINGERPRINT_BYTES,
    AppendCommand,
    Appended,
    AppendOutcome,
    AppendRejectedError,
    ClaimTaken,
    Duplicate,
    EventStoreError,
    FirstUse,
    KeyMismatch,
    NewEvent,
    StoredEvent,
    WrongExpectedVersion,
    leaf_hash,
)

_LONGEST_KEY_BYTES = 512
_LONGEST_CLAIM_BYTES = 1024
_LONGEST_PAYLOAD_BYTES = 1_000_000


class MemoryEventStore:
    """`EventStore` in one process. Each append is a plain function call, so appends never interleave."""

    def __init__(self, *, now: Callable[[], datetime] = clock.now) -> None:
        self._now = now
        self._log: list[StoredEvent] = []
        self._streams: dict[tuple[str, UUID], list[StoredEvent]] = {}
        self._responses: dict[tuple[str, str], tuple[bytes, Duplicate]] = {}
        self._claims: dict[tuple[str, str], UUID] = {}

    async def append(self, command: AppendCommand) -> AppendOutcome:
        """Append one command; see `EventStore.append`. There is no queue: it is never full and never late."""
        check_storable(command)
        return self._refusal(command) or self._write(command)

    async def append_all(self, commands: Sequence[AppendCommand]) -> list[AppendOutcome | EventStoreError]:
        """Append commands one after the other; see `EventStore.append_all`."""
        outcomes: list[AppendOutcome | EventStoreError] = []
        for command in commands:
            try:
                outcomes.append(await self.append(command))
            except EventStoreError as error:
                outcomes.append(error)
        return outcomes

    async def read_stream(self, tenant_id: str, stream_id: UUID) -> Sequence[StoredEvent]:
        """Return the events of one stream, versions ascending; see `EventStore.read_stream`."""
        return list(self._streams.get((tenant_id, stream_id), ()))

    async def read_all(self, after_position: int, limit: int) -> Sequence[StoredEvent]:
        """Return the events behind a position; see `EventStore.read_all`."""
        return self._log[max(after_position, 0) :][:limit]

    async def head(self) -> int:
        """Return the last position of the log; 0 when it is empty."""
        return len(self._log)

    def _refusal(self, command: AppendCommand) -> AppendOutcome | None:
        recorded = self._responses.get((command.tenant_id, command.key))
        if recorded is not None:
            fingerprint, duplicate = recorded
            if fingerprint == command.fingerprint:
                return duplicate
            status, _response, stream_id, version, _position, recorded_at = duplicate
            return KeyMismatch(FirstUse(fingerprint, status, stream_id, version, recorded_at))
        version = len(self._streams.get((command.tenant_id, command.stream_id), []))
        if version != command.expected_version:
            return WrongExpectedVersion(version)
        if command.claim is not None:
            owner = self._claims.get((command.tenant_id, command.claim), command.stream_id)
            if owner != command.stream_id:
                return ClaimTaken(owner)
        return None

    def _write(self, command: AppendCommand) -> Appended:
        recorded_at = self._recorded_at()
        stream = self._streams.get((command.tenant_id, command.stream_id), [])
        for version, event in enumerate(command.events, command.expected_version + 1):
            stored = self._stored(command, version, event, recorded_at)
            self._log.append(stored)
            stream.append(stored)
        if command.events:
            self._streams[command.tenant_id, command.stream_id] = stream
        if command.claim is not None:
            self._claims[command.tenant_id, command.claim] = command.stream_id
        appended = Appended(len(stream), stream[-1].position if stream else 0, recorded_at)
        duplicate = Duplicate(command.status, command.response, command.stream_id, *appended)
        self._responses[command.tenant_id, command.key] = (command.fingerprint, duplicate)
        return appended

    def _recorded_at(self) -> datetime:
        now = self._now()
        return max(now, self._log[-1].recorded_at) if self._log else now

    def _stored(self, command: AppendCommand, version: int, event: NewEvent, recorded_at: datetime) -> StoredEvent:
        return StoredEvent(
            position=len(self._log) + 1,
            log_id=0,
            tenant_id=command.tenant_id,
            stream_id=command.stream_id,
            version=version,
            type=event.type,
            schema_version=event.schema_version,
            event_id=event.event_id,
            occurred_at=event.occurred_at,
            recorded_at=recorded_at,
            actor=event.actor,
            correlation_id=event.correlation_id,
            causation_id=event.causation_id,
            traceparent=event.traceparent,
            payload=event.payload,
            leaf_hash=leaf_hash(command.tenant_id, command.stream_id, version, event),
        )


def check_storable(command: AppendCommand) -> None:
    """Refuse what PostgreSQL cannot hold, so that no test passes here and fails there.

    Raises:
        AppendRejectedError: it cannot be stored.
    """
    claim = "-" if command.claim is None else command.claim
    texts = [command.tenant_id, command.stream_type, command.key, claim]
    for event in command.events:
        texts += [
            event.type,
            event.actor,
            event.correlation_id or "",
            event.causation_id or "",
            event.traceparent or "",
        ]
    if any("\0" in text for text in texts):
        raise AppendRejectedError("a text holds NUL")
    if not 1 <= len(command.key.encode()) <= _LONGEST_KEY_BYTES:
        raise AppendRejectedError(f"a key is not 1 to {_LONGEST_KEY_BYTES} bytes long")
    if not 1 <= len(claim.encode()) <= _LONGEST_CLAIM_BYTES:
        raise AppendRejectedError(f"a claim is not 1 to {_LONGEST_CLAIM_BYTES} bytes long")
    if len(command.fingerprint) != FINGERPRINT_BYTES:
        raise AppendRejectedError(f"a fingerprint is not {FINGERPRINT_BYTES} bytes long")
    if any(len(event.payload) > _LONGEST_PAYLOAD_BYTES for event in command.events):
        raise AppendRejectedError(f"a payload is longer than {_LONGEST_PAYLOAD_BYTES} bytes")
