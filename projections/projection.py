"""The contract of a projection: events of the log in, one set-based write out.

A projection never commits, keeps a position or retries: the worker does, in the transaction it passes to `apply`. So
what `apply` writes becomes visible together with the checkpoint, or not at all (decision 0070).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from infra.event_store.protocol import StoredEvent
from infra.postgres.connection import Connection


class ProjectionError(Exception):
    """Base of what a projection raises about an event; the message has types and numbers, never content."""


class SequenceGapError(ProjectionError):
    """Events of an order are missing: its read model stands at `expected - 1` and the next event is `found`."""

    def __init__(self, order_id: UUID, expected: int, found: int) -> None:
        super().__init__(f"expected sequence {expected}, found {found}")
        self.order_id = order_id
        self.expected = expected
        self.found = found


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One event of the log, from either source. `payload` holds the event document's exact bytes.

    `previous` is the position of the event before it in its partition; 0 when none can be missing before it.
    """

    position: int
    partition: int
    tenant_id: str
    order_id: UUID
    sequence: int
    type: str
    schema_version: int
    event_id: UUID
    recorded_at: datetime
    payload: bytes
    previous: int = 0

    @classmethod
    def of(cls, event: StoredEvent, partition: int) -> "LogRecord":
        """Return the record of a stored event of `partition`."""
        return cls(
            position=event.position,
            partition=partition,
            tenant_id=event.tenant_id,
            order_id=event.stream_id,
            sequence=event.version,
            type=event.type,
            schema_version=event.schema_version,
            event_id=event.event_id,
            recorded_at=event.recorded_at,
            payload=event.payload,
        )


class Projection(Protocol):
    """One read model (or queue). `name` and `version` identify its checkpoints; a new version starts empty."""

    @property
    def name(self) -> str:
        """Stable name, also the argument of `verify`."""
        ...

    @property
    def version(self) -> int:
        """Version of the tables it writes."""
        ...

    async def apply(self, connection: Connection, records: Sequence[LogRecord]) -> None:
        """Write what `records` say, in the caller's transaction.

        `records` come from one or more partitions, by ascending position, none twice and none applied before. Only a
        retry of parked events may repeat one: applying an event again must change nothing.

        Raises:
            SequenceGapError: an earlier event of an order never arrived; the worker parks the order.
            Exception: any failure but a lost connection or transaction is the fault of a record; the worker finds it by
                halving and parks it.
        """
        ...
