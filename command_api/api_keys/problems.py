"""What requests about API keys are refused with, besides the codes that every route has."""

from typing import Final

from command_api.errors import KEY_ID
from infra.http.problems import Member, ProblemType
from infra.security.api_keys import too_many_live_keys, too_many_overlapping_keys

CATALOGUE: Final[tuple[ProblemType, ...]] = (
    GRANT_EXCEEDS_KEY := ProblemType(
        "grant_exceeds_key",
        403,
        "Grant exceeds the key",
        "A key grants no life longer than its own and no scope beyond grantable_scopes: its own or, where a key of the "
        "installation makes one of a partner, all that such a key may have.",
        members=(Member("grantable_scopes", "the scopes that this key may grant", ("orders:read", "orders:write")),),
    ),
    TOO_MANY_LIVE_KEYS := ProblemType(
        "too_many_live_keys",
        409,
        "Too many live keys",
        too_many_live_keys(lists="GET /api/v1/api-keys", revokes="POST /api/v1/api-keys/{id}/revoke"),
    ),
    API_KEY_NOT_LIVE := ProblemType(
        "api_key_not_live", 409, "API key not live", "The key is revoked or expired; create a new one instead."
    ),
    API_KEY_ALREADY_CREATED := ProblemType(
        "api_key_already_created",
        409,
        "API key created before",
        "This request made a key before, and its secret is shown only once. If you do not have it: revoke the key that "
        "key_id names, then create or rotate again under a new Idempotency-Key.",
        members=(KEY_ID,),
    ),
    TOO_MANY_OVERLAPPING_KEYS := ProblemType(
        "too_many_overlapping_keys",
        409,
        "Too many rotated keys that still work",
        too_many_overlapping_keys(
            ends="The first to end is key_id, at ends_at.",
            rotates="overlap_s 0, by another key than the one that is rotated",
            revokes="POST /api/v1/api-keys/{id}/revoke",
        ),
        members=(
            KEY_ID,
            Member("ends_at", "when it stops working", "2026-11-23T01:02:03.123456Z"),
        ),
    ),
)
"""Append only."""

FIELD_CODES: Final = {
    "scopes_count": "A key has at least one scope and at most all there are.",
    "scope_unknown": "Not a scope that a key of this kind may have.",
    "label_malformed": "A label is one line of at most 100 characters with something to see, or empty.",
    "partner_malformed": "A partner is 1 to 63 of a-z 0-9 _ - and starts with a letter or digit.",
    "partner_from_key": "The partner comes from the key; only an installation key names one.",
    "expiry_malformed": "An expiry is an RFC 3339 instant with an offset, such as 2027-01-31T00:00:00Z; leap seconds "
    "are not kept.",
    "expiry_out_of_range": "An expiry lies in the future, at most 3,650 days ahead.",
    "overlap_out_of_range": "An overlap is a whole number of seconds from 0 to 604,800 (7 days).",
    "overlap_too_short": "A key that rotates itself works for at least 60 seconds more, so that it can ask again.",
}
"""Codes inside the `errors` of a `validation_failed`."""
