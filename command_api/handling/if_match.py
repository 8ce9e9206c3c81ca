"""If-Match: which version of an order the client has seen when it changes one (RFC 9110, section 13.1.1)."""

import re
from typing import Annotated, Final

from fastapi import Header
from pydantic import Field, PlainValidator

from command_api.errors import IF_MATCH_MALFORMED, PRECONDITION_REQUIRED
from infra.etags import ETAGS_PATTERN, parse_etags
from infra.http.problems import Problem

_VERSION: Final = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_ETagText = Annotated[str, Field(pattern=ETAGS_PATTERN)]

Versions = frozenset[int]
"""Versions that an order may have; without any, no order has one of them."""


def required_versions(header: str | None) -> Versions | None:
    """Return the versions that an editor may have seen, by ETags of ours such as `"3"`; None for `*`: any.

    A weak ETag, or one that is not ours, is that of no version: If-Match compares strongly.

    Raises:
        Problem: 428, there is none; 400, it is no list of ETags, such as a version without quotes.
    """
    if header is None:
        raise Problem(PRECONDITION_REQUIRED)
    return versions_if_any(header)


def versions_if_any(header: str) -> Versions | None:
    """Return the versions that the order may have; None for `*`.

    Raises:
        Problem: 400, as `required_versions`.
    """
    tags = parse_etags(header)
    if tags is None:
        raise Problem(IF_MATCH_MALFORMED)
    return None if tags.is_any else frozenset(int(tag) for tag in tags.strong if _VERSION.fullmatch(tag))


IfMatch = Annotated[
    Versions | None,
    PlainValidator(required_versions, json_schema_input_type=_ETagText),
    Header(
        alias="If-Match",
        description="the ETag of the version of the order that you have seen. A list matches any of its members, `*` "
        "any version; a weak ETag matches none.",
        examples=['"1"'],
    ),
]
"""The versions that an editor may have seen, as a parameter of a route."""
OptionalIfMatch = Annotated[
    Versions | None,
    PlainValidator(versions_if_any, json_schema_input_type=_ETagText),
    Header(
        alias="If-Match",
        description="do this only at the version with this ETag, or one of a list; omit it to accept any",
        examples=['"1"'],
    ),
]
"""The versions that an order may have for a verb; None: any."""
