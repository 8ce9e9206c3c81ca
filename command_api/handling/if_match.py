"""If-Match: which version of an order the client has seen when it changes one (RFC 9110, section 13.1.1)."""

import re
from typing import Annotated, Final

from fastapi import Header
from pydantic import Field, PlainValidator

from command_api.errors import IF_MATCH_MALFORMED, PRECONDITION_FAILED, PRECONDITION_REQUIRED
from infra.http.problems import Problem

_ETAG: Final = re.compile(r'"([1-9][0-9]{0,9})"', re.ASCII)
_ANY_ETAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_FORM: Final = re.compile(rf"\*|{_ANY_ETAG}(?:[ \t]*,[ \t]*{_ANY_ETAG})*")
_ETagText = Annotated[str, Field(pattern=r'^"[1-9][0-9]{0,9}"$')]


def required_version(header: str | None) -> int:
    """Return the version that an editor has seen, by an ETag of ours such as `"3"`.

    A list, a weak ETag or `*` names no single version that the client has seen, so it never matches.

    Raises:
        Problem: 428, there is none; 400, it is no ETag, such as a version without quotes; 412, it is not the ETag of a
            version.
    """
    if header is None:
        raise Problem(PRECONDITION_REQUIRED)
    found = _ETAG.fullmatch(header)
    if found is None:
        raise Problem(PRECONDITION_FAILED if _FORM.fullmatch(header) else IF_MATCH_MALFORMED)
    return int(found[1])


def version_if_any(header: str) -> int | None:
    """Return the version that the order must have; None for `*`.

    Raises:
        Problem: 400 and 412, as `required_version`.
    """
    return None if header == "*" else required_version(header)


IfMatch = Annotated[
    int,
    PlainValidator(required_version, json_schema_input_type=_ETagText),
    Header(
        alias="If-Match",
        description="the ETag of the version of the order that you have seen: one, strong",
        examples=['"1"'],
    ),
]
"""The version that an editor has seen, as a parameter of a route."""
OptionalIfMatch = Annotated[
    int | None,
    PlainValidator(version_if_any, json_schema_input_type=_ETagText),
    Header(
        alias="If-Match",
        description="do this only at the version with this ETag; omit it to accept any",
        examples=['"1"'],
    ),
]
"""The version that an order must have for a verb; None: any."""
