"""The one form of an id that clients may send: a UUID in canonical lower case (RFC 9562, 4).

`uuid.UUID` accepts braces, `urn:uuid:`, upper case and missing hyphens too, but one id in many spellings would be many
cache keys, log lines and idempotency fingerprints.
"""

import re
from typing import Final
from uuid import UUID

CANONICAL_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
"""As a regular expression, without anchors."""

_CANONICAL_UUID: Final = re.compile(CANONICAL_UUID, re.ASCII)


def parse_uuid(text: str) -> UUID | None:
    """Return the id, or None when the text is not in canonical form."""
    return UUID(text) if _CANONICAL_UUID.fullmatch(text) else None


def canonical_uuid(text: str) -> UUID:
    """Return the id, for pydantic.

    Raises:
        ValueError: the text is not in canonical form.
    """
    found = parse_uuid(text)
    if found is None:
        raise ValueError("an id is a UUID in canonical lower case")
    return found
