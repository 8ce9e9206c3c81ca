"""If-Match: which version of an order a client has before it when it edits one (RFC 9110, section 13.1.1)."""

import re
from typing import Final

from command_api.errors import IF_MATCH_MALFORMED, PRECONDITION_FAILED, PRECONDITION_REQUIRED
from infra.http.problems import Problem

IF_MATCH: Final = b"if-match"
_ETAG: Final = re.compile(r'"([1-9][0-9]{0,9})"', re.ASCII)
_ANY_ETAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_FORM: Final = re.compile(rf"\*|{_ANY_ETAG}(?:[ \t]*,[ \t]*{_ANY_ETAG})*")


def required_version(header: str | None) -> int:
    """Return the version that an editor has seen, by an ETag of ours such as `"3"`.

    A list, a weak ETag or `*` names no single version that the client has seen, so it never matches.

    Raises:
        Problem: 428, there is none; 400, it is not of the form of the header, as a version without quotes; 412, it is
            not the ETag of a version.
    """
    if header is None:
        raise Problem(PRECONDITION_REQUIRED)
    return _version(header)


def version_if_any(header: str | None) -> int | None:
    """Return the version at which alone something may be done; None where that does not matter: no header, or `*`.

    Raises:
        Problem: 400 and 412, as `required_version`.
    """
    return None if header is None or header == "*" else _version(header)


def _version(header: str) -> int:
    found = _ETAG.fullmatch(header)
    if found is None:
        raise Problem(PRECONDITION_FAILED if _FORM.fullmatch(header) else IF_MATCH_MALFORMED)
    return int(found[1])
