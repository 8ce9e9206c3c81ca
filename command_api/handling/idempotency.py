"""Idempotency-Key: its syntax, and the fingerprint that tells a repetition from another request under the same key."""

import hashlib
import re
from typing import Annotated, Final

from fastapi import Header
from pydantic import Field, PlainValidator

from command_api.errors import IDEMPOTENCY_KEY_INVALID, IDEMPOTENCY_KEY_REQUIRED
from infra.http.problems import Problem

KEY_PATTERN: Final = r'^("[!#-~]{1,255}"|[!#-~]{1,255})$'
_VISIBLE_ASCII: Final = re.compile(r"[\x21-\x7e]{1,255}")


def parse_key(header: str | None) -> str:
    """Return the key; in double quotes (as in RFC 8941 strings) it is the same key as bare.

    Raises:
        Problem: 400, there is none, or not 1-255 visible ASCII characters.
    """
    if header is None:
        raise Problem(IDEMPOTENCY_KEY_REQUIRED)
    key = header[1:-1] if len(header) > 1 and header[0] == header[-1] == '"' else header
    if not _VISIBLE_ASCII.fullmatch(key) or '"' in key:
        raise Problem(IDEMPOTENCY_KEY_INVALID)
    return key


IdempotencyKey = Annotated[
    str,
    PlainValidator(parse_key, json_schema_input_type=Annotated[str, Field(pattern=KEY_PATTERN)]),
    Header(
        alias="Idempotency-Key",
        description=(
            "New for each command, 1-255 visible ASCII characters, bare or in double quotes. A repetition gets the "
            "first response again, kept for 7 days; another request under the same key is refused (422). A request is "
            "the same if its method, its path and the JSON values of its body are: spaces and the order of members do "
            'not count, but `"10"` is not `"10.00"`, and null or `{}` is not a member left out.'
        ),
        examples=["0192f0c1-8a3b-7c55-9a53-0f6f3b1f2f10"],
    ),
]
"""The key of a command, as a parameter of a route."""


def fingerprint(method: str, path: str, canonical_body: bytes) -> bytes:
    """Return the SHA-256 of what makes a request the same one; lengths keep the parts apart."""
    digest = hashlib.sha256(f"{method} {len(path)} {path} ".encode())
    digest.update(canonical_body)
    return digest.digest()
