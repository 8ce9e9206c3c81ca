"""One attempt: one POST to one endpoint, with a bound on everything a hostile receiver could try.

The guard is where connections are made (decision 0082): the resolver returns only vetted addresses and refuses
the host if *any* of its addresses is denied; the socket factory checks the address of every socket again. SNI and Host
stay the original name. Redirects are not followed, proxies of the environment are ignored, cookies are not kept, and of
a response at most 16 KiB are read, and never decompressed.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from infra.security.net_guard.addresses import IPAddress, IPNetwork
from infra.security.net_guard.target import AddressRules, TargetRefusedError, check_addresses, parse_target
from projections.webhooks.outcomes import AttemptOutcome, classify
from projections.webhooks.schedule import parse_retry_after

READ_BYTES: Final = 16_384
KEPT_BYTES: Final = 4_096
MAX_ADDRESSES: Final = 4
MAX_RESPONSE_HEADERS: Final = 64
MAX_HEADER_BYTES: Final = 4_096
KEEPALIVE_S: Final = 4.0  # many servers close at 5 s, and a POST on a connection just closed would fail
_LOOKUPS_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class Reply:
    """How an attempt ended. `status` is None without a response; `body` holds the first 4 KiB of its body, as sent."""

    outcome: AttemptOutcome
    status: int | None = None
    body: bytes = b""
    retry_after_s: float | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds for connecting (DNS look-up and TLS included) and for the whole attempt."""

    connect_s: float
    total_s: float


Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns every address of a host, for a port; raises OSError when there is none."""


class SystemLookup:
    """Looks names up with the system's resolver, in threads of its own, so that one that hangs delays no other.

    Overlapping look-ups of one name share one thread and one result.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="webhook-dns")
        self._running: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return all addresses of a host."""
        key = (host, port)
        running = self._running.get(key)
        if running is None:
            running = asyncio.get_running_loop().run_in_executor(self._threads, _getaddrinfo, host, port)
            self._running[key] = running
            running.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(running)

    def close(self) -> None:
        """Start no more look-ups."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _forget(self, key: tuple[str, int], done: asyncio.Future[list[str]]) -> None:
        self._running.pop(key, None)
        if not done.cancelled():
            done.exception()  # mark it as seen: every waiter may have left


def _getaddrinfo(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class GuardedResolver(AbstractResolver):
    """Resolves once per connection, and returns only vetted addresses, IPv4 first."""

    def __init__(self, scheme: str, rules: AddressRules, lookup: Lookup) -> None:
        self._scheme = scheme
        self._rules = rules
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the vetted addresses of a host.

        Raises:
            TargetRefusedError: any of its addresses is denied.
            OSError: it has none.
        """
        del family  # always both: a denied IPv6 address matters even where only IPv4 would be dialled
        texts = await self._lookup(host, port)
        if not texts:
            raise OSError("the name has no address")
        addresses = [ip_address(text) for text in texts]
        check_addresses(self._scheme, port, addresses, self._rules)
        ordered = sorted(addresses, key=lambda address: address.version)
        return [_resolved(host, port, address) for address in ordered[:MAX_ADDRESSES]]

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""


def _resolved(host: str, port: int, address: IPAddress) -> ResolveResult:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004  # IP versions are called so
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=str(address), port=port, family=family, proto=0, flags=flags)


class WebhookSender:
    """Sends attempts; keeps connections per (mode, scheme), so that rules of test mode never reach a live connection.

    Use it as a context manager. `lookup` is for tests of DNS rebinding.
    """

    def __init__(
        self,
        deadlines: Deadlines,
        allow_networks: Sequence[IPNetwork] = (),
        lookup: Lookup | None = None,
        *,
        extra_top_level_domains: Sequence[str] = (),
    ) -> None:
        self._deadlines = deadlines
        self._rules = {
            livemode: AddressRules.for_mode(
                livemode=livemode,
                allow_networks=allow_networks,
                extra_top_level_domains=extra_top_level_domains,
            )
            for livemode in (True, False)
        }
        self._system = SystemLookup()  # starts a thread with the first look-up
        self._lookup = lookup or self._system
        self._sessions: dict[tuple[bool, str], aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        for session in self._sessions.values():
            await session.close()
        self._system.close()

    async def send(self, url: str, *, livemode: bool, headers: Mapping[str, str], body: bytes, now: datetime) -> Reply:
        """Make one attempt; nothing that the URL, the network or the receiver does raises an exception.

        Args:
            url: as stored; parsed again by the parser that accepted it.
            livemode: whose rules apply.
            headers: all headers but Host and Content-Length.
            body: the exact bytes that were signed.
            now: start of the attempt, UTC (for a Retry-After date).
        """
        try:
            scheme, dialled = _read_url(url, self._rules[livemode])
            return await self._post(self._session(scheme, livemode=livemode), dialled, headers, body, now)
        except Exception as error:  # noqa: BLE001  # whatever a response provokes in a parser ends that attempt
            return _failed(error)

    async def _post(
        self, session: aiohttp.ClientSession, url: URL, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Reply:
        ends_at = asyncio.get_running_loop().time() + self._deadlines.total_s
        async with asyncio.timeout_at(ends_at):
            response = await session.post(url, data=body, headers=headers, allow_redirects=False)
        try:
            kept = await _read_body(response, ends_at)
        finally:
            if response.content.at_eof():
                response.release()
            else:
                response.close()
        retry_after_s = parse_retry_after(response.headers.get("Retry-After"), now)
        return Reply(classify(response.status), response.status, kept, retry_after_s)

    def _session(self, scheme: str, *, livemode: bool) -> aiohttp.ClientSession:
        key = (livemode, scheme)
        if key not in self._sessions:
            self._sessions[key] = self._open_session(scheme, self._rules[livemode])
        return self._sessions[key]

    def _open_session(self, scheme: str, rules: AddressRules) -> aiohttp.ClientSession:
        def vetted_socket(info: tuple[Any, ...]) -> socket.socket:
            family, kind, protocol, _, address = info
            check_addresses(scheme, address[1], [ip_address(address[0])], rules)
            return socket.socket(family=family, type=kind, proto=protocol)

        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(scheme, rules, self._lookup),
            socket_factory=vetted_socket,
            use_dns_cache=False,
            happy_eyeballs_delay=None,
            limit=0,  # the dispatcher bounds what is in flight
            keepalive_timeout=KEEPALIVE_S,
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(
                total=None, connect=self._deadlines.connect_s, sock_connect=self._deadlines.connect_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=READ_BYTES,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_RESPONSE_HEADERS,
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
        )


@lru_cache(maxsize=4096)
def _read_url(text: str, rules: AddressRules) -> tuple[str, URL]:
    """Return the scheme and the HTTP client's URL, built from the parsed parts and checked to mean the same.

    The result is cached because it is pure: the addresses of the name are checked at every connection.

    Raises:
        TargetRefusedError: see `parse_target`.
    """
    target = parse_target(text, rules)
    url = URL.build(
        scheme=target.scheme,
        host=target.host,
        port=target.port,
        path=target.path + target.query,  # in one, because as a query an empty one would lose its ?
        encoded=True,
    )
    if url.raw_host != target.host or url.port != target.port:
        raise TargetRefusedError("url_malformed", "The URL means another host to the HTTP client.")
    return target.scheme, url


async def _read_body(response: aiohttp.ClientResponse, ends_at: float) -> bytes:
    """Read at most 16 KiB as it arrives and keep 4; a broken body changes nothing, only the status counts."""
    kept, read = b"", 0
    with suppress(aiohttp.ClientError, OSError, ValueError):
        async with asyncio.timeout_at(ends_at):
            while read < READ_BYTES and (chunk := await response.content.readany()):
                read += len(chunk)
                kept += chunk[: KEPT_BYTES - len(kept)]
    return kept


_STAGES: Final[tuple[tuple[type[Exception], AttemptOutcome], ...]] = (
    (TargetRefusedError, AttemptOutcome.BLOCKED),
    (aiohttp.ConnectionTimeoutError, AttemptOutcome.CONNECT),
    (TimeoutError, AttemptOutcome.TIMEOUT),
    (aiohttp.ClientConnectorDNSError, AttemptOutcome.DNS),
    (aiohttp.ClientSSLError, AttemptOutcome.TLS),
    (aiohttp.ClientConnectorError, AttemptOutcome.CONNECT),
)
"""Which stage an error belongs to, the first match counts; everything else is a broken connection or response."""


def _failed(error: Exception) -> Reply:
    outcome = next((stage for kind, stage in _STAGES if isinstance(error, kind)), AttemptOutcome.DISCONNECTED)
    return Reply(outcome, detail=error.code if isinstance(error, TargetRefusedError) else type(error).__name__)
