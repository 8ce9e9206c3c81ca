"""What a key may do to other keys. Pure; see decision 0055.

A key sees the keys of its own partner and mode, one of the installation all keys of its mode. It may revoke any key
it sees. It may create only keys that can do no more than itself; one of the installation also any key of a partner,
since the operator manages the partners' keys with it. A key that was rotated grants what it did before, until its
overlap ends.
"""

from datetime import datetime

from command_api.api_keys.problems import GRANT_EXCEEDS_KEY
from infra.http.auth import CHALLENGE, Principal
from infra.http.problems import API_KEY_INVALID, Problem
from infra.security.api_keys import PARTNER_SCOPES, KeyRecord, KeyVisibility


def visibility_of(principal: Principal) -> KeyVisibility:
    """Return which keys a caller sees."""
    return KeyVisibility(principal.partner_id, principal.livemode)


def require_live(acting: KeyRecord | None, now: datetime) -> KeyRecord:
    """Return the acting key as the store has it now: a key that was revoked a moment ago changes no other.

    Raises:
        Problem: 401, it is not live.
    """
    if acting is None or not acting.is_live(now):
        raise Problem(API_KEY_INVALID, headers=CHALLENGE)
    return acting


def require_grantable(
    acting: KeyRecord, partner_id: str | None, scopes: frozenset[str], expires_at: datetime | None
) -> None:
    """Check that the acting key may make a key of this owner with these rights.

    Raises:
        Problem: 403, it may not grant one of the scopes, or ends before the new key would.
    """
    is_operator = acting.partner_id is None and partner_id is not None
    grantable = PARTNER_SCOPES if is_operator else acting.scopes
    outlives = acting.expires_at is not None and (expires_at is None or expires_at > acting.expires_at)
    if outlives or not scopes <= grantable:
        raise Problem(GRANT_EXCEEDS_KEY, members={"grantable_scopes": sorted(grantable)})
