"""If-Match: which version of an order a client has before it when it edits one (RFC 9110, section 13.1.1)."""

import re
from typing import Final

from command_api.errors import PRECONDITION_FAILED, PRECONDITION_REQUIRED
from infra.http.problems import Problem

IF_MATCH: Final = b"if-match"
_ETAG: Final = re.compile(r'"([1-9][0-9]{0,9})"', re.ASCII)


def parse_if_match(header: str | None) -> int:
    """Give the version in an ETag of ours, such as `"3"`.

    A list, a weak ETag or `*` names no single version that the client has seen, so it never matches.

    Raises:
        Problem: 428, there is none; 412, it is not the ETag of a version.
    """
    if header is None:
        raise Problem(PRECONDITION_REQUIRED)
    found = _ETAG.fullmatch(header)
    if found is None:
        raise Problem(PRECONDITION_FAILED)
    return int(found[1])
