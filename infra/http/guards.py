"""Checks on the head of a request, before any of it is believed. Pure: headers in, a refusal or the facts out.

The parser lets things pass that must not reach an application behind a proxy (no Host, two Hosts, headers without
bound), so the checks read what the parser hands over and not what a framework made of it. Ambiguous framing, which the
parser refuses already, is refused here again: request smuggling must not depend on one library (decision 0050).
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from starlette.types import Scope

from infra.http.policies.accepted import accepts_json
from infra.http.problems import (
    CONTENT_ENCODING_UNSUPPORTED,
    FRAMING_AMBIGUOUS,
    HEADER_REPEATED,
    HEADERS_TOO_LARGE,
    HOST_INVALID,
    MALFORMED_REQUEST,
    NOT_ACCEPTABLE,
    Problem,
    body_too_large,
)

SENT_ONCE: Final = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"authorization",
        b"consistency-token",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"if-match",
        b"if-none-match",
        b"traceparent",
        b"transfer-encoding",
        b"x-api-key",
        b"x-request-id",
    }
)
"""Headers that may be sent once, and the only ones that routes read."""
_LISTS: Final = frozenset({b"accept", b"accept-encoding", b"if-match", b"if-none-match"})
"""Those whose lines are parts of one list (RFC 9110, 5.3)."""

_VERSIONS: Final = frozenset({"1.0", "1.1", "2", "2.0"})
_MAY_LACK_HOST: Final = "1.0"
"""The version whose requests need no Host, such as a load balancer's probes; no response depends on it.

In any version it may be empty (RFC 9112, 3.2).
"""
_USUAL_ACCEPT: Final = frozenset({b"*/*", b"application/json"})
_SEPARATORS: Final = 4
"""Bytes of ": " and of the line end."""
_CLOSE: Final = {"connection": "close"}
"""Where it is unclear what the bytes after the head belong to, no later request on the connection is read."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers of one service: bytes, counts and seconds."""

    max_in_flight: int
    deadline_s: float
    max_body_bytes: int
    max_header_bytes: int = 32 * 1024
    max_headers: int = 128
    max_arriving: int = 4096
    """Requests whose body is still arriving; they are not among those in flight."""
    max_held_bytes: int = 256 * 1024 * 1024
    """Bodies of all requests together."""


class Head(NamedTuple):
    """The headers of a request, read once.

    `single` holds the first value of every header that may be sent once, `repeated` the name of one that was sent
    again; `lines` is of all headers, `size` (bytes, with separators) of them and the address.
    """

    single: dict[bytes, bytes]
    repeated: bytes | None
    lines: int
    size: int


def read_head(scope: Scope) -> Head:
    """Return what the raw headers say, in one pass."""
    found: dict[bytes, bytes] = {}
    repeated: bytes | None = None
    raw = scope["headers"]
    # The address counts too.
    size = _SEPARATORS * len(raw) + len(scope.get("raw_path") or b"") + len(scope["query_string"])
    for name, value in raw:
        size += len(name) + len(value)
        if name in SENT_ONCE:
            if name not in found:
                found[name] = value.strip()  # a value is what stands between the blanks (RFC 9110, 5.5)
            elif name in _LISTS:
                found[name] += b"," + value.strip()
            elif name == b"traceparent":
                found[name] = b""  # two parents count as none (W3C Trace Context 3.2)
            else:
                repeated = name
    return Head(found, repeated, len(raw), size)


def check(scope: Scope, head: Head, limits: Limits) -> Problem | None:
    """Return the refusal of a request that is malformed, ambiguous or too large by its headers; None: go on."""
    headers, repeated, lines, size = head
    if lines > limits.max_headers or size > limits.max_header_bytes:
        return Problem(HEADERS_TOO_LARGE)
    if scope["http_version"] not in _VERSIONS:
        return Problem(MALFORMED_REQUEST, "Use HTTP/1.1.", headers=_CLOSE)
    if repeated is not None:
        return _repeated(repeated)
    if b"host" not in headers and scope["http_version"] != _MAY_LACK_HOST:
        return Problem(HOST_INVALID, headers=_CLOSE)
    return _check_body(headers, limits) or _check_accept(scope, headers)


def _repeated(name: bytes) -> Problem:
    if name == b"host":
        return Problem(HOST_INVALID, headers=_CLOSE)
    if name in {b"content-length", b"transfer-encoding"}:
        return Problem(FRAMING_AMBIGUOUS, headers=_CLOSE)
    return Problem(HEADER_REPEATED, f"The header {name.decode('ascii')} was sent more than once.")


def _check_body(headers: dict[bytes, bytes], limits: Limits) -> Problem | None:
    if headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        return Problem(MALFORMED_REQUEST, "The only Transfer-Encoding is chunked.", headers=_CLOSE)
    length = headers.get(b"content-length")
    if length is not None:
        if b"transfer-encoding" in headers:
            return Problem(FRAMING_AMBIGUOUS, headers=_CLOSE)
        if not length.isdigit():
            return Problem(MALFORMED_REQUEST, "Content-Length is a number of bytes.", headers=_CLOSE)
        if len(length) > len(str(limits.max_body_bytes)) + 8 or int(length) > limits.max_body_bytes:
            return body_too_large(limits.max_body_bytes)
    encoding = headers.get(b"content-encoding")
    if encoding and encoding.lower() != b"identity":
        return Problem(CONTENT_ENCODING_UNSUPPORTED)
    return None


def _check_accept(scope: Scope, headers: dict[bytes, bytes]) -> Problem | None:
    accept = headers.get(b"accept")
    if not accept or accept in _USUAL_ACCEPT or not scope["path"].startswith("/api/"):
        return None
    return None if accepts_json(accept) else Problem(NOT_ACCEPTABLE)
