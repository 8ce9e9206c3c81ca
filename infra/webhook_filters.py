"""Which event types an endpoint wants: exact names, or wildcards for all names below one (`order.*`, `*`)."""

import re
from collections.abc import Iterable
from typing import Final

_PATTERN: Final = re.compile(r"\*|[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*(?:\.\*)?")
MAX_PATTERN_CHARS: Final = 64


def is_pattern(text: str) -> bool:
    """Return whether a text is a filter: dotted lower-case names, with a star only alone or as the last part."""
    return len(text) <= MAX_PATTERN_CHARS and _PATTERN.fullmatch(text) is not None


def matches(patterns: Iterable[str], event_type: str) -> bool:
    """Return whether any of the filters matches an event type.

    >>> matches(["order.*"], "order.created"), matches(["order.created"], "order.captured"), matches(["*"], "x")
    (True, False, True)
    """
    return any(
        pattern in ("*", event_type) or (pattern.endswith(".*") and event_type.startswith(pattern[:-1]))
        for pattern in patterns
    )
