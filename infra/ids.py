"""The one form of an id that clients may send: a UUID in groups with hyphens, in upper or lower case (RFC 9562, 4).

`uuid.UUID` accepts braces, `urn:uuid:` and missing hyphens too. Whatever is kept or compared as text (fingerprints,
cursors, cache keys) has the id in lower case: one id in many spellings would be many of them.
"""

import re
from typing import Final
from uuid import UUID

UUID_PATTERN: Final = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
"""As a regular expression, without anchors."""

_UUID: Final = re.compile(UUID_PATTERN, re.ASCII)


def parse_uuid(text: str) -> UUID | None:
    """Return the id, or None when the text is not of that form."""
    return UUID(text) if _UUID.fullmatch(text) else None


def canonical_uuid(text: str) -> UUID:
    """Return the id, for pydantic.

    Raises:
        ValueError: the text is not of that form.
    """
    found = parse_uuid(text)
    if found is None:
        raise ValueError("an id is a UUID with hyphens")
    return found


def canonical_ids(text: str) -> str:
    """Return a text, such as the path of a request, with every UUID in it in lower case."""
    return text if text.islower() else _UUID.sub(lambda found: found[0].lower(), text)
