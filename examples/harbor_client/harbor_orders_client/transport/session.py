"""What both clients share: the addresses, the headers, the memory of tokens; and the programs made of one request."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlsplit

from harbor_orders_client.documents import exact
from harbor_orders_client.documents.reading import read
from harbor_orders_client.errors import UnexpectedResponse
from harbor_orders_client.transport.consistency import TOKEN, Consistency, is_about_order
from harbor_orders_client.transport.retries import Rules, send_until_known
from harbor_orders_client.transport.wire import Program, Reply, Request, Service

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
_NOT_IN_BASE: Final = re.compile(r"[\s?#\x00-\x1f\x7f]")
USER_AGENT: Final = "harbor-orders-client/0.1.0"


@dataclass(frozen=True, slots=True)
class Page(Generic[T_co]):
    """One page of a list; `next_cursor` is None on the last."""

    data: tuple[T_co, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Listing(Generic[T_co]):
    """A list over any number of pages: `page` makes the request of the page that a cursor leads to."""

    page: Callable[[str | None], Request[Page[T_co]]]


@dataclass(frozen=True, slots=True)
class Session:
    """One client's state. `api_key` never shows."""

    command_url: str
    query_url: str
    api_key: str = field(repr=False)
    rules: Rules
    read_your_writes: bool
    consistency: Consistency = field(default_factory=Consistency, repr=False)

    def __post_init__(self) -> None:
        if not _is_key(self.api_key):
            raise ValueError("api_key is not an API key: no text, a space at an end, or a character that no key has")
        if not (is_base_url(self.command_url) and is_base_url(self.query_url)):
            raise ValueError(
                "command_url and query_url are addresses such as https://orders.example.com, without a user name or "
                "password"
            )

    def base_url(self, request: Request[Any]) -> str:
        """Return the address of the service of a request."""
        return (self.command_url if request.service is Service.COMMAND else self.query_url).rstrip("/")

    def perform(self, request: Request[T]) -> Program[T]:
        """Send one request until its outcome is known. Return its result; raise as `send_until_known` and `read` do."""
        token = self.consistency.of_order(request.path) if self._shows_tokens(request) else None
        reply = yield from send_until_known(self.rules, request, self.headers(request, token))
        written = reply.headers.get(TOKEN)
        if written is not None:
            self.consistency.wrote(reply.headers.get("location", request.path), written)
        return request.read(reply)

    def first_page(self, request: Request[T]) -> Program[T]:
        """Return the first page of a list. Ask again for each partition of which it may miss a write of this client."""
        if is_about_order(request.path):
            return (yield from self.perform(request))
        tokens = self.consistency.of_list(request.path) if self._shows_tokens(request) else []
        reply = yield from send_until_known(self.rules, request, self.headers(request, tokens[0] if tokens else None))
        for shown, token in pairwise([*tokens, None]):
            self.consistency.listed(request.path, str(shown), reply.headers)
            if token is not None and not self.consistency.is_seen(request.path, token):
                reply = yield from send_until_known(self.rules, request, self.headers(request, token))
        return request.read(reply)

    def headers(self, request: Request[Any], token: str | None = None) -> dict[str, str]:
        """Return the headers of a request, the same for every attempt; the key joins them when they are sent."""
        headers = {"accept": "application/json", "user-agent": USER_AGENT}
        if request.content:
            headers["content-type"] = "application/json"
        if request.idempotency_key is not None:
            headers["idempotency-key"] = request.idempotency_key
        if token is not None:
            headers[TOKEN] = token
        return headers | dict(request.headers)

    def _shows_tokens(self, request: Request[Any]) -> bool:
        return self.read_your_writes and request.service is Service.QUERY


def is_base_url(url: object) -> bool:
    """Return whether requests can be sent below an address: a scheme of HTTP, a host, and a port that exists if any.

    One with a user name or a password is none: errors name the address.
    """
    if not isinstance(url, str) or _NOT_IN_BASE.search(url):
        return False
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        )
    except ValueError:
        return False


def _is_key(key: object) -> bool:
    return isinstance(key, str) and key.isascii() and key.isprintable() and key.strip(" ") == key != ""


def document_of(reply: Reply) -> object:
    """Return the JSON of a successful reply.

    Raises:
        UnexpectedResponse: it is not JSON.
    """
    try:
        return exact.parse(reply.content)
    except ValueError:
        kind = reply.headers.get("content-type", "nothing")
        raise UnexpectedResponse(
            f"a {reply.status} without JSON ({kind}): is this the address of the service?"
        ) from None


def reads(kind: type[T]) -> Callable[[Reply], T]:
    """Return the reader of a response that is one `kind`."""
    return lambda reply: read(kind, document_of(reply))


def reads_page(kind: type[T]) -> Callable[[Reply], Page[T]]:
    """Return the reader of a response that is a page of `kind`."""

    def page(reply: Reply) -> Page[T]:
        document = document_of(reply)
        if not isinstance(document, dict) or not isinstance(document.get("data"), list):
            raise UnexpectedResponse("the response is not a page")
        data = tuple(read(kind, each, f"/data/{index}") for index, each in enumerate(document["data"]))
        return Page(data, read(_Cursor, document).next_cursor)

    return page


@dataclass(frozen=True, slots=True)
class _Cursor:
    next_cursor: str | None


def reads_nothing(_reply: Reply) -> None:
    """Read a response that has no body."""
