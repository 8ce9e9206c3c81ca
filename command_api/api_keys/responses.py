"""How API keys and their history look in answers; `command_api.api_keys.declared` says the same for OpenAPI."""

from datetime import datetime

from domain.instants import instant_text, optional_instant_text
from infra.http.auth import Principal
from infra.security.api_key_events import KeyEvent
from infra.security.api_keys import KeyRecord


def key_document(record: KeyRecord, now: datetime) -> dict[str, object]:
    """Return a key as of `now`, without anything that opens it."""
    return {
        "id": record.key_id,
        "object": "api_key",
        "partner_id": record.partner_id,
        "livemode": record.livemode,
        "label": record.label,
        "scopes": sorted(record.scopes),
        "status": "revoked" if record.revoked_at else "live" if record.is_live(now) else "expired",
        "created_at": instant_text(record.created_at),
        "expires_at": optional_instant_text(record.expires_at),
        "revoked_at": optional_instant_text(record.revoked_at),
        "last_used_at": optional_instant_text(record.last_used_at),
    }


def event_document(event: KeyEvent, principal: Principal) -> dict[str, object]:
    """Return one event. A partner is told of what its own keys did; what others did, it was the operator."""
    is_told = principal.partner_id is None or event.is_by_owner
    actor = {"type": event.actor.type, "id": event.actor.id} if is_told else {"type": "operator", "id": None}
    return {
        "id": str(event.number),
        "object": "api_key_event",
        "type": event.type,
        "key_id": event.key_id,
        "actor": actor,
        "request_id": event.actor.request_id,
        "recorded_at": instant_text(event.recorded_at),
        "details": dict(event.details),
    }


def page_document(data: list[dict[str, object]], next_cursor: str | None) -> dict[str, object]:
    """Return a page of a list."""
    return {"data": data, "has_more": next_cursor is not None, "next_cursor": next_cursor}
