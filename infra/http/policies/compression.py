"""Responses by gzip, for clients that accept it: the large ones, which are lists, batches and the API pages.

A response with an ETag is sent as it is. The tag is a strong one, so it names bytes that must not differ by encoding,
and a weak one could not be sent back as If-Match. Small responses cost more to compress than to send.
"""

import asyncio
import zlib
from typing import Final

from starlette.types import Message, Send

_LEVEL: Final = 4
_GZIP_BITS: Final = 16 + zlib.MAX_WBITS
_IN_A_THREAD_FROM: Final = 32 * 1024
"""Bytes whose compression would hold up the other requests."""
_KINDS: Final = (b"application/json", b"text/")
_VARY: Final = (b"vary", b"accept-encoding")
_REPLACED: Final = frozenset({b"content-length"})


class GzipSend:
    """Sends a response on, compressed if it has at least `min_bytes` and no ETag; its head waits for its body."""

    __slots__ = ("_min_bytes", "_send", "_start")

    def __init__(self, send: Send, min_bytes: int) -> None:
        self._send = send
        self._min_bytes = min_bytes
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        """Send a part of the response."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            body = message.get("body", b"")
            if len(body) >= self._min_bytes and not message.get("more_body", False) and _may_shrink(start["headers"]):
                packed = _pack(body) if len(body) < _IN_A_THREAD_FROM else await asyncio.to_thread(_pack, body)
                message = {**message, "body": packed}
                start["headers"] = [
                    *(each for each in start["headers"] if each[0] not in _REPLACED and each != _VARY),
                    (b"content-length", b"%d" % len(packed)),
                    (b"content-encoding", b"gzip"),
                    _VARY,
                ]
            await self._send(start)
        await self._send(message)


def _may_shrink(headers: list[tuple[bytes, bytes]]) -> bool:
    kind = b""
    for name, value in headers:
        if name in {b"etag", b"content-encoding"}:
            return False
        if name == b"content-type":
            kind = value
    return kind.startswith(_KINDS)


def _pack(body: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_BITS)
    return packer.compress(body) + packer.flush()
