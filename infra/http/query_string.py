"""Query strings, read strictly by both services: what is unknown, repeated or empty is refused, nothing is guessed."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final
from urllib.parse import parse_qsl

from infra.http.problems import VALIDATION_FAILED, FieldError, Problem, pointer

MAX_QUERY_BYTES: Final = 4096
MAX_PARAMETERS: Final = 20
_SEPARATOR: Final = b"&"

PARAMETER_CODES: Final[Mapping[str, str]] = {
    "limit_invalid": "A limit is a whole number from 1 to 200.",
    "parameter_unknown": "This address does not take the parameter.",
    "parameter_repeated": "Send this parameter once.",
    "parameter_empty": "Leave the parameter out instead.",
    "query_too_long": f"A query string has at most {MAX_QUERY_BYTES:,} bytes.",
    "query_malformed": "A query string is percent-encoded UTF-8.",
    "too_many_parameters": f"A query string has at most {MAX_PARAMETERS} parameters.",
}
"""Codes inside the `errors` of a `validation_failed` that any query string may get."""


def read_values(query_string: bytes, known: AbstractSet[str]) -> dict[str, str]:
    """Read a raw query string: each parameter at most once, all of them known to the route.

    Raises:
        Problem: 422; not UTF-8, too long, too many parameters, or one that is unknown, repeated or empty (all of these
            named at once).
    """
    if not query_string:
        return {}
    if len(query_string) > MAX_QUERY_BYTES:
        raise _refused("query_too_long")
    if query_string.count(_SEPARATOR) >= MAX_PARAMETERS:
        raise _refused("too_many_parameters")
    try:
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict")
    except UnicodeError:
        raise _refused("query_malformed") from None
    values: dict[str, str] = {}
    errors: list[FieldError] = []
    for name, value in pairs:
        if name not in known:
            detail = f"This address takes: {', '.join(sorted(known)) or 'no parameters'}."
            errors.append(FieldError(pointer(("query", name)), "parameter_unknown", detail))
        elif name in values or not value:
            code = "parameter_repeated" if name in values else "parameter_empty"
            errors.append(FieldError(f"/query/{name}", code, PARAMETER_CODES[code]))
        else:
            values[name] = value
    if errors:
        raise Problem(VALIDATION_FAILED, errors=tuple(errors))
    return values


def _refused(code: str) -> Problem:
    return Problem(VALIDATION_FAILED, errors=(FieldError(pointer(("query",)), code, PARAMETER_CODES[code]),))
