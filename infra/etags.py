"""Entity tags as conditional headers carry them: `*`, or a list of tags, each strong or weak (RFC 9110, 8.8.3)."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

ETAGS_PATTERN: Final = r'^(\*|(W/)?"[!#-~]*"([ \t]*,[ \t]*(W/)?"[!#-~]*")*)$'
"""What clients should send; `parse_etags` also takes empty members of a list and bytes beyond ASCII."""

_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
"""A list may have empty members (RFC 9110, 5.6.1.2)."""
_EACH: Final = re.compile(r'(W/)?"([^"]*)"')


class ETags(NamedTuple):
    """The tags of a header, without their quotes; `is_any`: the header is `*`, which has none."""

    strong: frozenset[str]
    weak: frozenset[str]
    is_any: bool = False


@lru_cache(maxsize=128)
def parse_etags(text: str) -> ETags | None:
    """Return the tags of `If-Match` or `If-None-Match`; None: it is neither `*` nor a list of entity tags."""
    if text == "*":
        return ETags(frozenset(), frozenset(), is_any=True)
    if not _LIST.fullmatch(text):
        return None
    tags = _EACH.findall(text)
    return ETags(frozenset(tag for weak, tag in tags if not weak), frozenset(tag for weak, tag in tags if weak))
