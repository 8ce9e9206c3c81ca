"""Standard Webhooks 1.0.0 signatures: HMAC-SHA256 over `id.timestamp.body`, base64, `v1,` in front.

Source: the Standard Webhooks specification, "Signature scheme"; its check vector is a test.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence


def sign(webhook_id: str, timestamp_s: int, body: bytes, secrets: Sequence[bytes]) -> str:
    """Return the `webhook-signature` header: one signature per secret, space-separated (several during a rotation).

    Args:
        webhook_id: the event id, the same on every attempt.
        timestamp_s: seconds since 1970 of this attempt.
        body: the exact bytes sent.
        secrets: raw secret bytes, at least one.
    """
    signed = b"%s.%d.%s" % (webhook_id.encode(), timestamp_s, body)
    return " ".join(
        "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode() for secret in secrets
    )
