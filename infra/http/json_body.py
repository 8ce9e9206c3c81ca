"""A request body as strict JSON: bounded while it streams, parsed once, refused with a catalogued code.

The standard library's C scanner is the parser because it alone hands over an object's pairs before they become a
dict, so a duplicate key can be seen; the faster ones (orjson, jiter) silently keep the last (decision 0040). Only a
body that the fast parser's own writer would have written the same way is left to it (decision 0043). What is accepted
is RFC 8259 in UTF-8 without a byte order mark, further narrowed to what every JSON library reads alike (RFC 7493,
I-JSON): unique keys, whole Unicode characters, numbers inside 64 bits, depth <= 16.
"""

import json
import math
import re
from typing import Final, NamedTuple, NoReturn, TypeAlias, assert_never

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from infra.deadlines import Deadlines
from infra.http.context import context_of
from infra.http.json_places import (
    Rule,
    first_broken_rule,
    index_of_invalid_escape,
    index_of_token,
    line_and_column,
)
from infra.http.problems import Problem, ProblemType, body_too_large, pointer

PROBLEMS: Final[tuple[ProblemType, ...]] = (
    BODY_EMPTY := ProblemType("body_empty", 400, "Empty body", "This request needs a JSON object as its body."),
    MALFORMED_JSON := ProblemType("malformed_json", 400, "Malformed JSON", "The body is not valid JSON (RFC 8259)."),
    NOT_UTF8 := ProblemType("body_not_utf8", 400, "Not UTF-8", "Send JSON in UTF-8 without a byte order mark."),
    DUPLICATE_JSON_KEY := ProblemType(
        "duplicate_json_key", 400, "Duplicate key", "An object in the body has the same key twice."
    ),
    INVALID_UNICODE := ProblemType(
        "invalid_unicode", 400, "Invalid text", "A string holds a null character or half of a surrogate pair."
    ),
    NUMBER_OUT_OF_RANGE := ProblemType(
        "number_out_of_range", 400, "Number out of range", "A number in the body does not fit 64 bits."
    ),
    JSON_TOO_COMPLEX := ProblemType(
        "json_too_complex",
        400,
        "JSON too complex",
        "The body nests deeper than 16, has an object of over 256 members, over 32,768 objects and lists, or over "
        "131,072 commas.",
    ),
    BODY_TIMEOUT := ProblemType(
        "body_timeout", 408, "Body too slow", "The body did not arrive in time; send the request again.", retryable=True
    ),
    UNSUPPORTED_MEDIA_TYPE := ProblemType(
        "unsupported_media_type", 415, "Unsupported media type", "Send the body as application/json in UTF-8."
    ),
)
"""The problems of a route that reads a body."""

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What a parsed body is made of."""

MAX_DEPTH = 16
MAX_MEMBERS = 256
"""Members of one object; far above any model here, so that 10^5 unknown fields cost nothing to refuse."""

MAX_CONTAINERS = 32_768
"""Objects and lists of one body; the smallest lines that fill 1 MiB are 25,000."""

MAX_COMMAS = 131_072
"""Commas of one body, so that its values are not many more; the smallest lines that fill 1 MiB have 75,000."""

_INT64_CHARS = 20
_INT64 = range(-(2**63), 2**63)
_OPENERS = (b"[", b"{")
JSON_SPACES: Final = b" \t\r\n"
_MEMBER = b'":'
_MANY_DIGITS = re.compile(rb"[:,\[][0-9]{19}")


class JsonBody(NamedTuple):
    """One parsed body: its value, and the canonical bytes (sorted keys, no spacing) that equal bodies share."""

    value: Json
    canonical: bytes


class InvalidBodyError(Exception):
    """JSON that does not fit the model of a body; the service turns it into a problem in its own words."""

    def __init__(self, model: type[BaseModel], error: ValidationError, value: Json) -> None:
        super().__init__(model.__name__)
        self.model = model
        self.error = error
        self.value = value


NO_BODY = JsonBody({}, b"{}")
"""What a request without a body is read as where it may be left out."""


class _StructureError(Exception):
    """An object has a key twice or too many members; the scanner does not say where."""


class _TokenError(Exception):
    """A number or word that a body must not hold; the scanner does not say where it is."""

    def __init__(self, kind: ProblemType, token: str) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.token = token


class BodyLimits:
    """The largest request body in bytes, and the seconds within which it must arrive."""

    def __init__(self, max_bytes: int, timeout_s: float) -> None:
        self.max_bytes = max_bytes
        self.deadlines = Deadlines(timeout_s)


async def read_json(request: Request, limits: BodyLimits, *, is_optional: bool = False) -> JsonBody:
    """Read and parse the body of a request that passed the request middleware, which checked its declared length.

    Args:
        request: its `Content-Type` must be `application/json`, with no charset but UTF-8.
        limits: the bytes are counted while they arrive; not one more than allowed is kept.
        is_optional: a request without a body is the same as one with an empty object.

    Raises:
        Problem: 400, 408, 413 or 415; nothing of the body is echoed.
    """
    headers = context_of(request).headers
    if is_optional and headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers:
        return NO_BODY
    _check_media_type(headers.get(b"content-type"))
    return parse_json(await read_bytes(request, limits))


def parse_json(data: bytes) -> JsonBody:
    """Parse the bytes of a body; return its value and its canonical form.

    Raises:
        Problem: 400 with the code of the rule that was broken.
    """
    containers = sum(map(data.count, _OPENERS))
    # What costs more to parse than any order does is refused unparsed: parsing blocks the event loop.
    if containers > MAX_CONTAINERS:
        raise Problem(JSON_TOO_COMPLEX, f"The body has over {MAX_CONTAINERS:,} objects and lists.")
    if len(data) > MAX_COMMAS and data.count(b",") > MAX_COMMAS:
        raise Problem(JSON_TOO_COMPLEX, f"The body has over {MAX_COMMAS:,} commas.")
    value = _as_written(data)
    if value is None:
        value = _scan(data)
    # Only what has so many brackets, or so many members altogether, can break these bounds; an order has neither.
    if (containers > MAX_DEPTH or data.count(_MEMBER) > MAX_MEMBERS) and _is_too_complex(value):
        raise _structure_problem(data.decode("utf-8"))
    try:
        return JsonBody(value, canonical(value))
    except orjson.JSONEncodeError:
        # Depth and numbers are checked: what is left that orjson cannot write is half of a surrogate pair.
        text = data.decode("utf-8")
        raise _invalid_text(text, index_of_invalid_escape(text)) from None


def canonical(value: Json) -> bytes:
    """Return the canonical bytes of a part of a parsed body, the same as if it had come as a body of its own."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _as_written(data: bytes) -> Json:
    """Return the value of an object that orjson would write in these very bytes; None: it may be anything else.

    Most clients write as orjson does: no spaces, nothing escaped that need not be. A body that comes out of its value
    again byte for byte cannot have a key twice, for the value has none; so the fast parser may be believed (decision
    0043). What that does not prove is looked at here: escapes (a null character) and numbers of over 63 bits.
    """
    if not data.startswith(b"{") or b"\\" in data or _MANY_DIGITS.search(data):
        return None
    try:
        value: Json = orjson.loads(data)
        return value if orjson.dumps(value) == data else None
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None


def _scan(data: bytes) -> Json:
    """Parse with the standard library's scanner, which hands over an object's pairs, and every rule of ours."""
    if not data.strip(JSON_SPACES):
        raise Problem(BODY_EMPTY)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(NOT_UTF8, f"{NOT_UTF8.detail} The byte at index {error.start} is none of it.") from None
    try:
        value: Json = _DECODER.decode(text)
    except (RecursionError, _StructureError):
        raise _structure_problem(text) from None
    except _TokenError as error:
        place = line_and_column(text, index_of_token(error.token, text))
        raise Problem(error.kind, f"{error.kind.detail} {place}") from None
    except json.JSONDecodeError as error:
        # The UTF-8 mark, and UTF-16 without a mark, decode as UTF-8 and then look like wrong syntax.
        if data.startswith(b"\xef\xbb\xbf") or b"\x00" in data[:2]:
            raise Problem(NOT_UTF8) from None
        place = f"Line {error.lineno}, column {error.colno}: {error.msg.removesuffix(' at')}."
        raise Problem(MALFORMED_JSON, f"{MALFORMED_JSON.detail} {place}") from None
    if b"\\u0000" in data and (index := index_of_invalid_escape(text)) is not None:
        raise _invalid_text(text, index)
    return value


def _invalid_text(text: str, index: int | None) -> Problem:
    place = "" if index is None else f" {line_and_column(text, index)}"
    return Problem(INVALID_UNICODE, INVALID_UNICODE.detail + place)


def _structure_problem(text: str) -> Problem:
    """Return the refusal of a text with a key twice, too many members or too many levels."""
    broken = first_broken_rule(text, MAX_DEPTH, MAX_MEMBERS)
    if broken is None:
        return Problem(JSON_TOO_COMPLEX)
    place = line_and_column(text, broken.start)
    match broken.rule:
        case Rule.KEY_TWICE:
            named = f' It is "{broken.key}".' if pointer((broken.key,)) else ""
            return Problem(DUPLICATE_JSON_KEY, f"{DUPLICATE_JSON_KEY.detail}{named} {place}")
        case Rule.DEPTH:
            return Problem(JSON_TOO_COMPLEX, f"The body nests deeper than {MAX_DEPTH}. {place}")
        case Rule.MEMBERS:
            return Problem(JSON_TOO_COMPLEX, f"An object has over {MAX_MEMBERS} members. {place}")
        case _:
            assert_never(broken.rule)


def _check_media_type(content_type: bytes | None) -> None:
    if content_type == b"application/json":
        return
    media_type, *parameters = (part.strip().lower() for part in (content_type or b"").decode("latin-1").split(";"))
    if media_type != "application/json" or any(p not in {"charset=utf-8", 'charset="utf-8"'} for p in parameters):
        raise Problem(UNSUPPORTED_MEDIA_TYPE)


async def read_bytes(request: Request, limits: BodyLimits) -> bytes:
    """Return a body, whatever it is.

    Raises:
        Problem: 408 or 413.
    """
    max_bytes = limits.max_bytes
    try:
        with limits.deadlines.limit():
            message = await request.receive()
            body: bytes = message.get("body", b"")
            if len(body) <= max_bytes and message["type"] == "http.request" and not message.get("more_body", False):
                return body
            chunks, size = [body], len(body)
            while message["type"] == "http.request" and message.get("more_body", False) and size <= max_bytes:
                message = await request.receive()
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
    except TimeoutError:
        raise Problem(BODY_TIMEOUT) from None
    if message["type"] != "http.request":
        raise ClientDisconnect
    if size > max_bytes:
        # The server reads the rest and drops it: a close would reset the connection and lose this response.
        raise body_too_large(max_bytes)
    return b"".join(chunks)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs) or len(members) > MAX_MEMBERS:
        raise _StructureError
    return members


def _int(text: str) -> int:
    # Converting many digits costs time that grows with their square.
    if len(text) > _INT64_CHARS or (value := int(text)) not in _INT64:
        raise _TokenError(NUMBER_OUT_OF_RANGE, text)
    return value


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _TokenError(NUMBER_OUT_OF_RANGE, text)
    return value


def _constant(name: str) -> NoReturn:
    # NaN, Infinity and -Infinity: Python's scanner knows them, JSON does not.
    raise _TokenError(MALFORMED_JSON, name)


def _is_too_complex(value: Json) -> bool:
    """Return whether a value nests deeper than `MAX_DEPTH` or holds an object of more than `MAX_MEMBERS`."""
    level: list[list[Json] | dict[str, Json]] = [value] if isinstance(value, (list, dict)) else []
    for _ in range(MAX_DEPTH):
        below: list[list[Json] | dict[str, Json]] = []
        for node in level:
            if isinstance(node, dict):
                if len(node) > MAX_MEMBERS:
                    return True
                below += [child for child in node.values() if isinstance(child, (list, dict))]
            else:
                below += [child for child in node if isinstance(child, (list, dict))]
        if not below:
            return False
        level = below
    return True


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_int, parse_float=_float, parse_constant=_constant)
