"""What the service responds to the examples in its own documentation where the schemas alone would show any key."""

from typing import Any

from command_api.api_keys.responses import EXAMPLE_ID, ApiKeyDocument, RotatedApiKeyDocument
from infra.http.openapi.response_examples import ResponseExamples

_SUCCESSOR_ID = "3Tn7Wc5v"


def response_examples() -> ResponseExamples:
    """Return the responses by operation."""
    old = _key(expires_at="2026-11-25T02:02:03.123456Z")
    new = _key(id=_SUCCESSOR_ID, created_at="2026-11-25T01:02:03.123456Z", last_used_at=None)
    rotated = RotatedApiKeyDocument.model_validate(new | {"key": f"hbr_test_{_SUCCESSOR_ID}_...", "predecessor": old})
    revoked = ApiKeyDocument.model_validate(_key(status="revoked", revoked_at="2026-11-25T01:02:03.123456Z"))
    return {
        "rotate_api_key": {"": rotated.model_dump(mode="json")},
        "revoke_api_key": {"": revoked.model_dump(mode="json")},
    }


def _key(**changes: Any) -> dict[str, Any]:
    return {
        "id": EXAMPLE_ID,
        "object": "api_key",
        "partner_id": "acme",
        "livemode": False,
        "label": "checkout, 2026",
        "scopes": ["orders:read", "orders:write"],
        "status": "live",
        "created_at": "2026-11-23T01:02:03.123456Z",
        "expires_at": "2027-11-23T00:00:00.000000Z",
        "revoked_at": None,
        "last_used_at": "2026-11-24T08:15:00.000000Z",
    } | changes
