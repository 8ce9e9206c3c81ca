"""One attempt against receivers and resolvers that mean harm: everything ends in time, bounded, with its class."""

import asyncio
import gzip
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from infra.clock import now
from projections.webhooks.outcomes import AttemptOutcome
from projections.webhooks.sender import Deadlines, Lookup, Reply, WebhookSender
from tests.support.services.webhooks import LOOPBACK, LoopbackReceiver
from tests.support.waiting import eventually

pytestmark = pytest.mark.server  # real sockets or processes, and deadlines that take their time

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
MEGABYTE = bytes(1_048_576)
ENDLESS_S = 60.0
UNHURRIED = Deadlines(connect_s=ENDLESS_S, total_s=ENDLESS_S)
SHORT = Deadlines(connect_s=ENDLESS_S, total_s=1.0)
"""For receivers that never respond: a stalled machine cannot change how these attempts end."""


async def test_a_gzip_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(200 * 1_048_576))

    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with _listening(_responding(head + bomb)) as url:
        reply = await _send(url)
    assert reply.outcome is AttemptOutcome.DELIVERED
    assert reply.body == bomb[:4096]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 50_000


async def test_a_gigabyte_of_response_is_cut_off() -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await _read_request(reader)
        writer.write(b"HTTP/1.1 500 Oh\r\nContent-Length: 1073741824\r\n\r\n")
        for _ in range(1024):
            writer.write(MEGABYTE)
            await writer.drain()
            sent += len(MEGABYTE)

    async with _listening(serve) as url:
        reply = await _send(url)
    assert (reply.outcome, reply.status, len(reply.body)) == (AttemptOutcome.SERVER_ERROR, 500, 4096)
    assert sent < 64 * len(MEGABYTE), "only what the kernel buffers"


async def test_a_dripping_body_ends_at_the_deadline_and_the_status_counts() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        await _drip(b"x", 0.02, reader, writer)

    async with _listening(serve) as url, asyncio.timeout(ENDLESS_S):  # what it would read takes five minutes to drip
        reply = await _send(url, deadlines=Deadlines(connect_s=ENDLESS_S, total_s=3.0))
    assert reply.outcome is AttemptOutcome.DELIVERED


@pytest.mark.parametrize("drop", [b"x: y\r\n", b""])
async def test_a_dripping_head_or_silence_is_a_timeout(drop: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read_request(reader)
        if drop:
            writer.write(b"HTTP/1.1 200 OK\r\n")
        await _drip(drop, 0.1, reader, writer)

    async with _listening(serve) as url:
        assert await _send(url, deadlines=SHORT) == Reply(AttemptOutcome.TIMEOUT, detail="TimeoutError")


@pytest.mark.parametrize(
    "response",
    [
        None,  # a reset
        b"",
        b"\x00\x01\x02\xff" * 10,
        b"HTTP/1.1 999999 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"x%d: y\r\n" % number for number in range(10_000)) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
async def test_a_response_that_is_not_http_is_a_broken_connection(response: bytes | None) -> None:
    async with _listening(_responding(response)) as url:
        assert (await _send(url)).outcome is AttemptOutcome.DISCONNECTED


async def test_a_reset_in_the_middle_of_a_good_response_is_still_a_response() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read_request(reader)
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        ours, theirs = (writer.get_extra_info(end)[1] for end in ("sockname", "peername"))
        # A reset discards what the other side has not received, and what it has not read.
        await eventually(lambda: _queues(ours, theirs)[0] == 0)
        await eventually(lambda: _queues(theirs, ours)[1] == 0)
        writer.transport.abort()

    async with _listening(serve) as url:
        reply = await _send(url)
    assert (reply.outcome, reply.status) == (AttemptOutcome.DELIVERED, 202)


async def test_a_port_nobody_listens_on_is_a_failed_connection() -> None:
    with socket.socket() as bound:  # and so nobody else gets the port
        bound.bind(("127.0.0.1", 0))
        assert (await _send(f"http://127.0.0.1:{bound.getsockname()[1]}/")).outcome is AttemptOutcome.CONNECT


async def test_a_certificate_nobody_trusts_is_a_tls_failure(tmp_path: Path) -> None:
    async with _listening(_responding(b""), _self_signed(tmp_path)) as url:
        reply = await _send(url.replace("http://", "https://"))
    assert reply.outcome is AttemptOutcome.TLS


async def test_a_name_that_does_not_exist_is_a_dns_failure() -> None:
    async def nothing(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    assert (await _send("https://gone.example.com/", lookup=nothing)).outcome is AttemptOutcome.DNS


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.1"], ["::1"], ["127.0.0.1", "::1"], ["169.254.169.254"], ["93.184.216.34", "10.0.0.1"],
        ["2606:4700::1111", "fe80::1"], ["::ffff:10.0.0.1"], ["64:ff9b::a00:1"],
    ],
)  # fmt: skip
async def test_a_name_is_refused_if_any_of_its_addresses_is_denied(addresses: list[str]) -> None:
    async def lookup(_host: str, _port: int) -> Sequence[str]:
        return addresses

    for livemode in (True, False):
        reply = await _send("https://hooks.example.com/", livemode=livemode, lookup=lookup)
        assert reply == Reply(AttemptOutcome.BLOCKED, detail="address_denied")


async def test_a_name_that_is_rebound_between_attempts_is_judged_each_time_it_is_dialled() -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1", "10.0.0.1"]])
    asked = 0

    async def rebinding(_host: str, _port: int) -> Sequence[str]:
        nonlocal asked
        asked += 1
        return next(answers)

    async with LoopbackReceiver() as receiver:
        url = receiver.url.replace("127.0.0.1", "hooks.localhost")
        outcomes = [(await _send(url, lookup=rebinding)).outcome for _ in range(3)]
    assert outcomes == [AttemptOutcome.DELIVERED, AttemptOutcome.BLOCKED, AttemptOutcome.BLOCKED]
    assert asked == 3, "once per connection: what was vetted is what is dialled"
    [received] = receiver.received
    assert received.headers["host"].startswith("hooks.localhost:"), "the original name is kept"


async def test_the_rules_of_live_mode_hold_when_it_is_dialled() -> None:
    async def lookup(_host: str, _port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    reply = await _send("https://hooks.example.com:8443/", livemode=True, lookup=lookup)
    assert reply == Reply(AttemptOutcome.BLOCKED, detail="address_denied"), "the operator's networks are for test mode"
    reply = await _send("http://127.0.0.1:9/", livemode=True)
    assert reply == Reply(AttemptOutcome.BLOCKED, detail="scheme_not_allowed"), "saved under other rules"


@pytest.mark.parametrize("target", ["/", "/x", "/x?", "/x??", "/x?a=1&b=%2f;%C3%BC+", "//x/../y?", "/%7Ea;b/?&&=?"])
async def test_path_and_query_are_sent_byte_for_byte(target: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await _read_request(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    heads: list[bytes] = []
    async with _listening(serve) as url:
        await _send(url.removesuffix("/") + target)

    assert heads[0].splitlines()[0] == f"POST {target} HTTP/1.1".encode()


async def test_a_name_that_hangs_is_bounded_by_the_connect_deadline() -> None:
    async def hanging(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    reply = await _send(
        "https://slow.example.com/", lookup=hanging, deadlines=Deadlines(connect_s=0.1, total_s=ENDLESS_S)
    )
    assert reply.outcome is AttemptOutcome.CONNECT


async def test_a_top_level_domain_that_the_operator_named_is_dialled() -> None:
    async def lookup(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["10.0.0.1"]

    asked: list[str] = []
    async with WebhookSender(UNHURRIED, (), lookup, extra_top_level_domains=["brandnew"]) as sender:
        for host in ("hooks.brandnew", "hooks.notatld"):
            reply = await sender.send(f"https://{host}/", livemode=True, headers={}, body=b"{}", now=now())
            assert reply.outcome is AttemptOutcome.BLOCKED
    assert asked == ["hooks.brandnew"]


async def test_cookies_are_not_kept_between_attempts() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            heads.append(await _read_request(reader))
            writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()

    heads: list[bytes] = []
    async with _listening(serve) as url, WebhookSender(UNHURRIED, LOOPBACK) as sender:
        for _ in range(2):
            await sender.send(url, livemode=False, headers={}, body=b"{}", now=now())
    assert len(heads) == 2
    assert b"cookie" not in heads[1].lower()


async def _send(
    url: str, *, livemode: bool = False, lookup: Lookup | None = None, deadlines: Deadlines = UNHURRIED
) -> Reply:
    async with WebhookSender(deadlines, LOOPBACK, lookup) as sender:
        return await sender.send(url, livemode=livemode, headers={}, body=b"{}", now=now())


def _responding(response: bytes | None) -> Serve:
    """Return a receiver that reads a request and sends these bytes, or resets the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read_request(reader)
        if response is None:
            writer.transport.abort()
            return
        writer.write(response)
        await writer.drain()

    return serve


async def _drip(drop: bytes, every_s: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a drop now and again until the sender hangs up."""
    hung_up = asyncio.ensure_future(reader.read())
    while not hung_up.done():
        writer.write(drop)
        await writer.drain()
        await asyncio.wait([hung_up], timeout=every_s)


def _queues(port: int, peer_port: int) -> tuple[int, int]:
    """Return the bytes one end of a connection on 127.0.0.1 has to send and to read: proc(5), tcp."""
    # Both ends name the connection: a port alone may be bound to several of them at once.
    ends = f"0100007F:{port:04X}", f"0100007F:{peer_port:04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    [queues] = [row[4].split(":") for row in rows if (row[1], row[2]) == ends]
    return int(queues[0], 16), int(queues[1], 16)


@asynccontextmanager
async def _listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    serving: set[asyncio.Task[object]] = set()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            serving.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving)


def _self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    pem = folder / "self-signed.pem"
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(key.private_bytes(*plain) + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return head + await reader.readexactly(length)
