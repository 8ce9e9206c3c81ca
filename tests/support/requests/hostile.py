"""Every request that must be refused, as the bytes of a connection: for both services."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.support.requests.refused_changes import REFUSED_CHANGES
from tests.support.requests.refused_queries import REFUSED_READS
from tests.support.requests.refused_requests import REFUSED, Refused
from tests.support.requests.refused_settings import REFUSED_SETTINGS

_POST: Final = b"POST /api/v1/orders HTTP/1.1\r\n"
_HOST: Final = b"host: orders.test\r\n"
LAST: Final = b"GET /livez HTTP/1.1\r\nhost: orders.test\r\nconnection: close\r\n\r\n"
"""Sent behind a request: a server that is still in step answers it and closes."""

OF_COMMAND: Final = REFUSED | REFUSED_CHANGES | REFUSED_SETTINGS
OF_QUERY: Final = REFUSED_READS

OTHERWISE: Final[Mapping[str, tuple[int, str]]] = {
    "address: a made-up method": (400, "malformed_request")  # the parser knows the methods there are
}
"""What the parser refuses before the service sees it, and how."""

GOOD_ELSEWHERE: Final = frozenset({"address: GET of the collection"})
"""What only one of the services refuses: the other one has such an address."""

HEADS: Final[Mapping[str, tuple[bytes, str]]] = {
    "no Host": (b"POST /api/v1/orders HTTP/1.1\r\ncontent-length: 0\r\n\r\n", "host_invalid"),
    "two Hosts": (_POST + _HOST + b"host: other.test\r\n\r\n", "host_invalid"),
    "two lengths": (_POST + _HOST + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}", "malformed_request"),
    "two equal lengths": (_POST + _HOST + b"content-length: 2\r\ncontent-length: 2\r\n\r\n{}", "malformed_request"),
    "a list of lengths": (_POST + _HOST + b"content-length: 2, 2\r\n\r\n{}", "malformed_request"),
    "length and chunking": (
        _POST + _HOST + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "malformed_request",
    ),
    "a negative length": (_POST + _HOST + b"content-length: -1\r\n\r\n", "malformed_request"),
    "a length of letters": (_POST + _HOST + b"content-length: two\r\n\r\n{}", "malformed_request"),
    "a length of 10^30": (_POST + _HOST + b"content-length: 1" + b"0" * 30 + b"\r\n\r\n{}", "malformed_request"),
    "an unknown transfer coding": (
        _POST + _HOST + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "malformed_request",
    ),
    "a chunk that is none": (_POST + _HOST + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n", "malformed_request"),
    "HTTP/0.9": (b"GET /api/v1/orders\r\n\r\n", "malformed_request"),
    "HTTP/9.9": (b"GET /api/v1/orders HTTP/9.9\r\n" + _HOST + b"\r\n", "malformed_request"),
    "two spaces before the address": (b"GET  /livez HTTP/1.1\r\n" + _HOST + b"\r\n\x00", "malformed_request"),
    "a bare LF": (b"GET /api/v1/orders HTTP/1.1\nhost: orders.test\n\n", "malformed_request"),
    "a folded header": (_POST + _HOST + b"x: a\r\n b\r\n\r\n", "malformed_request"),
    "a header without a name": (_POST + _HOST + b": a\r\n\r\n", "malformed_request"),
    "a space in a header name": (_POST + _HOST + b"bad name: a\r\n\r\n", "malformed_request"),
    "a null in a header": (_POST + _HOST + b"x: a\x00b\r\n\r\n", "malformed_request"),
    "a control byte between headers": (_POST + _HOST + b"\x01\r\n\r\n", "malformed_request"),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "malformed_request"),
    "20,000 headers": (_POST + _HOST + b"x: a\r\n" * 20_000 + b"\r\n", "headers_too_large"),
    "a header of 40 KB": (_POST + _HOST + b"x: " + b"a" * 40_000 + b"\r\n\r\n", "headers_too_large"),
    "a header of 1 MB": (_POST + _HOST + b"x: " + b"a" * 1_000_000 + b"\r\n\r\n", "headers_too_large"),
    "a header without end": (_POST + _HOST + b"x: " + b"a" * 5_000_000, "headers_too_large"),
    "an address of 40 KB": (
        b"GET /api/v1/orders?" + b"a" * 40_000 + b" HTTP/1.1\r\n" + _HOST + b"\r\n",
        "headers_too_large",
    ),
    "an address of 100 KB": (
        b"GET /api/v1/orders?" + b"a" * 100_000 + b" HTTP/1.1\r\n" + _HOST + b"\r\n",
        "malformed_request",
    ),
    "two credentials": (
        _POST + _HOST + b"authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n",
        "header_repeated",
    ),
    "a key of 100 KB": (_POST + _HOST + b"authorization: Bearer " + b"a" * 100_000 + b"\r\n\r\n", "headers_too_large"),
    "two idempotency keys": (_POST + _HOST + b"idempotency-key: a\r\nidempotency-key: a\r\n\r\n", "header_repeated"),
    "two consistency tokens": (
        b"GET /api/v1/orders HTTP/1.1\r\n" + _HOST + b"consistency-token: 1.1\r\nconsistency-token: 1.1\r\n\r\n",
        "header_repeated",
    ),
    "a body of 10 MB by its length": (_POST + _HOST + b"content-length: 10000000\r\n\r\n", "body_too_large"),
    "a gzip body": (
        _POST + _HOST + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x8b",
        "content_encoding_unsupported",
    ),
    "only HTML accepted": (_POST + _HOST + b"accept: text/html\r\n\r\n", "not_acceptable"),
}
"""What no client library would send, and the code it is refused with by either service."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """A request as bytes, what it is called, and how it may be answered: by these statuses, with this code if given."""

    name: str
    raw: bytes
    statuses: frozenset[int]
    code: str | None = None
    field_code: str | None = None
    pointer: str | None = None


def hostile_requests(service: str, key: str) -> list[Hostile]:
    """Return all of them for a service; those that are meant for the other one need only be refused."""
    own, others = (OF_COMMAND, OF_QUERY) if service == "command" else (OF_QUERY, OF_COMMAND)
    any_refusal = frozenset(range(400, 500))
    return [
        *(Hostile(name, raw, any_refusal, code) for name, (raw, code) in HEADS.items()),
        *(_own(name, refused, key) for name, refused in own.items()),
        *(
            Hostile(f"of the other service: {name}", raw_request(refused, key), any_refusal)
            for name, refused in others.items()
            if name not in GOOD_ELSEWHERE
        ),
    ]


def raw_request(refused: Refused, key: str) -> bytes:
    """Write a refused request as a client would, with the key of a partner unless it brings its own credential."""
    headers = {"authorization": f"Bearer {key}"} | dict(refused.headers)
    if not headers["authorization"]:
        del headers["authorization"]
    lines = [f"{refused.method} {refused.path} HTTP/1.1", "host: orders.test"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if refused.body or refused.method not in {"GET", "TRACE"}:
        lines.append(f"content-length: {len(refused.body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + refused.body


def _own(name: str, refused: Refused, key: str) -> Hostile:
    raw = raw_request(refused, key)
    otherwise = OTHERWISE.get(name)
    if otherwise is not None:
        return Hostile(name, raw, frozenset({refused.status, otherwise[0]}))
    return Hostile(name, raw, frozenset({refused.status}), refused.code, refused.field_code, refused.pointer)
