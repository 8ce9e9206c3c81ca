"""A request body as strict JSON: bounded while it streams, parsed once, refused with a catalogued code.

The standard library's C scanner is the parser because it alone hands over an object's pairs before they become a
dict, so a duplicate key can be seen; the faster ones (orjson, jiter) silently keep the last. Decision 0040 has the
measurements. What is accepted is RFC 8259 in UTF-8 without a byte order mark, further narrowed to what every JSON
library reads alike (RFC 7493, I-JSON): unique keys, whole Unicode characters, numbers inside 64 bits, depth <= 16.
"""

import asyncio
import json
import math
import re
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

import orjson
from starlette.requests import ClientDisconnect, Request

from command_api.errors import (
    BODY_EMPTY,
    BODY_TIMEOUT,
    DUPLICATE_JSON_KEY,
    INVALID_UNICODE,
    JSON_TOO_COMPLEX,
    MALFORMED_JSON,
    NOT_UTF8,
    NUMBER_OUT_OF_RANGE,
    UNSUPPORTED_MEDIA_TYPE,
)
from infra.http.problems import BODY_TOO_LARGE, Problem

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What a parsed body is made of."""

MAX_DEPTH = 16
MAX_MEMBERS = 256
"""Members of one object; far above any model here, so that 10^5 unknown fields cost nothing to refuse."""

_INT64_CHARS = 20
_INT64 = range(-(2**63), 2**63)
_NULL_CHARACTER = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_OPENERS = (b"[", b"{")


@dataclass(frozen=True, slots=True)
class JsonBody:
    """One parsed body: its value, and the canonical bytes (sorted keys, no spacing) that equal bodies share."""

    value: Json
    canonical: bytes


async def read_json(request: Request, *, max_bytes: int, timeout_s: float, is_optional: bool = False) -> JsonBody:
    """Read and parse the body of a request.

    Args:
        request: its `Content-Type` must be `application/json`, with no charset but UTF-8.
        max_bytes: the largest body, counted while it arrives; not one byte more is kept.
        timeout_s: seconds within which the body must have arrived.
        is_optional: a request without a body is the same as one with an empty object.

    Raises:
        Problem: 400, 408, 413 or 415; nothing of the body is echoed.
    """
    if is_optional and _has_no_body(request):
        return _EMPTY_OBJECT
    _check_media_type(request.headers.get("content-type"))
    return parse_json(await _read(request, max_bytes, timeout_s))


def parse_json(data: bytes) -> JsonBody:
    """Parse the bytes of a body, in one pass of the C scanner and one of orjson for the canonical form.

    Raises:
        Problem: 400 with the code of the rule that was broken.
    """
    if not data.strip(b" \t\r\n"):
        raise Problem(BODY_EMPTY)
    value = _scan(data)
    if sum(map(data.count, _OPENERS)) > MAX_DEPTH and _is_deeper_than(value, MAX_DEPTH):
        raise Problem(JSON_TOO_COMPLEX)
    if b"\\u0000" in data and _NULL_CHARACTER.search(data):
        raise Problem(INVALID_UNICODE)
    try:
        return JsonBody(value, orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
    except orjson.JSONEncodeError:
        # Depth and numbers are checked: what is left that orjson cannot write is half of a surrogate pair.
        raise Problem(INVALID_UNICODE) from None


def canonical(value: Json) -> bytes:
    """Give the canonical bytes of a part of a parsed body, the same as if it had come as a body of its own."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _scan(data: bytes) -> Json:
    try:
        value: Json = _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise Problem(NOT_UTF8) from None
    except RecursionError:
        raise Problem(JSON_TOO_COMPLEX) from None
    except json.JSONDecodeError:
        # The UTF-8 mark, and UTF-16 without a mark, decode as UTF-8 and then look like wrong syntax.
        is_marked = data.startswith(b"\xef\xbb\xbf") or b"\x00" in data[:2]
        raise Problem(NOT_UTF8 if is_marked else MALFORMED_JSON) from None
    return value


def _has_no_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers


def _check_media_type(content_type: str | None) -> None:
    if content_type == "application/json":
        return
    media_type, *parameters = (part.strip().lower() for part in (content_type or "").split(";"))
    if media_type != "application/json" or any(p not in {"charset=utf-8", 'charset="utf-8"'} for p in parameters):
        raise Problem(UNSUPPORTED_MEDIA_TYPE)


async def _read(request: Request, max_bytes: int, timeout_s: float) -> bytes:
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or len(declared) > len(str(max_bytes)) or int(declared) > max_bytes:
        raise Problem(BODY_TOO_LARGE)
    try:
        async with asyncio.timeout(timeout_s):
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
        # The server reads the rest and drops it: a close would reset the connection and lose this answer.
        raise Problem(BODY_TOO_LARGE)
    return b"".join(chunks)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Problem(DUPLICATE_JSON_KEY)
    if len(members) > MAX_MEMBERS:
        raise Problem(JSON_TOO_COMPLEX)
    return members


def _int(text: str) -> int:
    # Converting many digits costs time that grows with their square.
    if len(text) > _INT64_CHARS or (value := int(text)) not in _INT64:
        raise Problem(NUMBER_OUT_OF_RANGE)
    return value


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise Problem(NUMBER_OUT_OF_RANGE)
    return value


def _constant(_name: str) -> NoReturn:
    # NaN, Infinity and -Infinity: Python's scanner knows them, JSON does not.
    raise Problem(MALFORMED_JSON)


def _is_deeper_than(value: Json, limit: int) -> bool:
    level: list[list[Json] | dict[str, Json]] = [value] if isinstance(value, (list, dict)) else []
    for _ in range(limit):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (list, dict))
        ]
        if not level:
            return False
    return True


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_int, parse_float=_float, parse_constant=_constant)
_EMPTY_OBJECT = JsonBody({}, b"{}")
