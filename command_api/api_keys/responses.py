"""The documents about API keys and their history."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field

from domain.instants import Instant
from domain.order.document import Document
from infra.http.auth import Principal
from infra.http.cursors import Page
from infra.security.api_key_events import KeyEvent
from infra.security.api_keys import KeyRecord

EXAMPLE_ID = "8Zk2Qp1x"


class ApiKeyDocument(Document):
    """An API key, without its secret; `partner_id` is null for one of the installation."""

    id: str = Field(examples=[EXAMPLE_ID])
    object: Literal["api_key"]
    partner_id: str | None = Field(examples=["acme"])
    livemode: bool
    label: str = Field(examples=["checkout, 2026"])
    scopes: list[str] = Field(examples=[["orders:read", "orders:write"]])
    status: Literal["live", "revoked", "expired"]
    created_at: Instant
    expires_at: Instant | None = Field(
        description="when it stops to work; of a key that was rotated, when its overlap ends, if that is sooner",
        examples=["2027-11-23T00:00:00.000000Z"],
    )
    revoked_at: Instant | None = Field(examples=[None])
    last_used_at: Instant | None = Field(description="to the minute", examples=["2026-11-24T08:15:00.000000Z"])

    @classmethod
    def of(cls, record: KeyRecord, now: datetime, **more: Any) -> Self:
        """Return a key as of `now`, without its secret, except for what `more` adds."""
        return cls(
            id=record.key_id,
            object="api_key",
            partner_id=record.partner_id,
            livemode=record.livemode,
            label=record.label,
            scopes=sorted(record.scopes),
            status="revoked" if record.revoked_at else "live" if record.is_live(now) else "expired",
            created_at=record.created_at,
            expires_at=record.ends_at,
            revoked_at=record.revoked_at,
            last_used_at=record.last_used_at,
            **more,
        )


class CreatedApiKeyDocument(ApiKeyDocument):
    """A new key; `key` is its text, shown this once."""

    last_used_at: Instant | None = Field(description="to the minute", examples=[None])
    key: str = Field(examples=["hbr_test_8Zk2Qp1x_..."])


class RotatedApiKeyDocument(CreatedApiKeyDocument):
    """The successor of a key, and the old key with the time its overlap ends."""

    predecessor: ApiKeyDocument


class ApiKeyList(Page[ApiKeyDocument]):
    """A page of keys, newest first."""


class KeyActorDocument(Document):
    """Who did it: a key with its `id`, or the `operator` of the installation; an installation key sees which."""

    type: Literal["api_key", "operator", "cli", "installation"]
    id: str | None = Field(examples=["8Zk2Qp1x"])
    label: str | None = Field(
        description="what the key is called, if it is a key and has a label", examples=["checkout, 2026"]
    )


class KeyEventDetails(Document):
    """What the event was about; which members there are depends on its type."""

    label: str | None = None
    scopes: list[str] | None = None
    expires_at: Instant | None = None
    predecessor: str | None = Field(default=None, description="the key that this one follows")
    successor: str | None = Field(default=None, description="the key that follows this one")


class KeyEventDocument(Document):
    """One thing that happened to a key."""

    id: str = Field(examples=["42"])
    object: Literal["api_key_event"]
    type: Literal["api_key.created", "api_key.rotated", "api_key.revoked"]
    key_id: str = Field(examples=[EXAMPLE_ID])
    actor: KeyActorDocument
    request_id: str = Field(examples=["req-7f3a"])
    recorded_at: Instant
    details: KeyEventDetails

    @classmethod
    def of(cls, event: KeyEvent, principal: Principal) -> Self:
        """Return an event. A partner sees which of its own keys did it; anybody else is shown as the operator."""
        is_shown = principal.partner_id is None or event.is_by_owner
        return cls.model_validate(
            {
                "id": str(event.number),
                "object": "api_key_event",
                "type": event.type,
                "key_id": event.key_id,
                "actor": {"type": event.actor.type, "id": event.actor.id, "label": event.actor_label}
                if is_shown
                else {"type": "operator", "id": None, "label": None},
                "request_id": event.actor.request_id,
                "recorded_at": event.recorded_at,
                "details": dict(event.details),
            }
        )


class KeyEventList(Page[KeyEventDocument]):
    """A page of a key's history, oldest first."""
