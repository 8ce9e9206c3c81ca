"""What is known about one request from its headers alone; handlers find it on the request and add to its log line."""

import re
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import HTTPConnection

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

LogValue = str | int | float | bool | None | list[str]


@dataclass(slots=True)
class RequestContext:
    """One request: its identity, the headers that may be sent once, and the fields of its one log line.

    `started_s` is on the monotonic clock. `headers` holds the first value of every header that may appear only once,
    by lower-case name. A handler that does something worth its own name sets `log_event` (`command.handled`) and adds
    `log_fields`; there is one line per request whatever happens. `response_headers` go out with every response.
    """

    request_id: str
    started_s: float
    headers: dict[bytes, bytes] = field(default_factory=dict)
    log_event: str = "request.handled"
    log_fields: dict[str, LogValue] = field(default_factory=dict)
    response_headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def header(self, name: bytes) -> str | None:
        """Return the value of a header that may be sent once, or None when it was not sent."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


def context_of(connection: HTTPConnection) -> RequestContext:
    """Return the context that the request middleware made for this request."""
    context = connection.scope["state"]["context"]
    if not isinstance(context, RequestContext):
        raise TypeError("this request did not come through infra.http.middleware")
    return context


def accepted_request_id(value: bytes | None) -> str | None:
    """Return the caller's X-Request-ID when it is 1 to 128 of `A-Za-z0-9._-` (safe in logs and headers), else None."""
    return value.decode("ascii") if value is not None and _REQUEST_ID.fullmatch(value) else None


def accepted_traceparent(text: str | None) -> str | None:
    """Return the caller's trace when it is valid by W3C Trace Context, version 00; else None."""
    return text if text is not None and _TRACEPARENT.fullmatch(text) else None
