"""The envelope of an event: who, when, why and where in the stream; and the event inside it, as it is recorded.

`RecordedOrderEvent` has the shape of the `eventsourcing` library's `DomainEventProtocol` (`originator_id`,
`originator_version`), so the library's tools accept our events although we do not import it.
"""

from typing import Annotated, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from domain.instants import Instant
from domain.order.events import OrderEvent
from domain.order.ids import OrderId

_Name = Annotated[str, Field(min_length=1, max_length=128)]


class Frozen(BaseModel):
    """A closed, immutable, strictly typed document."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Actor(Frozen):
    """Who did it: `type` api_key with the partner's `id` and the key's `key_id`, or the system itself."""

    type: Literal["api_key", "system"]
    id: _Name
    key_id: _Name | None


class Envelope(Frozen):
    """What every event carries besides its data. Nothing here is assigned by the append."""

    event_id: UUID
    order_id: OrderId
    sequence: Annotated[int, Field(ge=1)]
    occurred_at: Instant
    partner_id: _Name
    livemode: bool
    actor: Actor
    request_id: _Name
    traceparent: Annotated[str, Field(max_length=128)] | None
    correlation_id: _Name | None
    causation_id: _Name | None


class RecordedOrderEvent(NamedTuple):
    """An event at its place in a stream."""

    event: OrderEvent
    envelope: Envelope

    @property
    def originator_id(self) -> UUID:
        """Return the order's id, by the library's name."""
        return self.envelope.order_id

    @property
    def originator_version(self) -> int:
        """Return the stream version, by the library's name."""
        return self.envelope.sequence
