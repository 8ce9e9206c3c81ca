"""Cursors of lists: where the next page starts, signed, and good only for the list that gave them. Pure.

A cursor is 16 bytes of MAC over what it was given for (route, partner, mode, filters) and the key of the last row. It
can be read by nobody who cannot also forge it, cannot be used with another filter or another partner's key, and needs
no state. It never expires: rows keep their keys for ever. Decision 0051.
"""

import base64
import binascii
import hashlib
import hmac
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import orjson

from infra.http.problems import CURSOR_INVALID, Problem

_KEY: Final = struct.Struct(">Bq16s")
_VERSION: Final = 1
_MAC_BYTES: Final = 16
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{55}", re.ASCII)


EXAMPLE: Final = "AQAGN_6nTkvAAZqq8vnVx8PopToPbzsfLxC0Qm5vZGVyLWV4YW1wbGU"
_UNBOUND: Final = frozenset({"cursor", "limit"})
"""Parameters that a cursor is not bound to: the page size may change from page to page."""


@dataclass(frozen=True, slots=True)
class RowKey:
    """The sort key of a row: a number (microseconds, or a version), and the id that breaks ties."""

    number: int
    id: UUID


def purpose(route: str, partner_id: str | None, livemode: bool, values: Mapping[str, str]) -> str:
    """Return the text a cursor of this list is bound to: another route, asker or filter gives another text.

    `partner_id` is None for a key of the installation; `values` are all parameters of the request.
    """
    mode = "live" if livemode else "test"
    asker = f"installation/{mode}" if partner_id is None else f"partner/{partner_id}/{mode}"
    filters = sorted((name, value) for name, value in values.items() if name not in _UNBOUND)
    return orjson.dumps([route, asker, filters]).decode()


class Cursors:
    """Issues and reads cursors. `secret` is at least 32 bytes, the same in every process of the service."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, purpose: str, after: RowKey) -> str:
        """Return the cursor of the page that follows the row `after`, in the list that `purpose` names entirely."""
        body = _KEY.pack(_VERSION, after.number, after.id.bytes)
        return base64.urlsafe_b64encode(body + self._mac(purpose, body)).rstrip(b"=").decode("ascii")

    def read(self, purpose: str, cursor: str) -> RowKey:
        """Return the row a cursor stands for.

        Raises:
            Problem: 422; edited, cut, or given for another list, filter, partner or mode.
        """
        if not _FORM.fullmatch(cursor):
            raise Problem(CURSOR_INVALID)
        try:
            raw = base64.b64decode(cursor + "=", altchars=b"-_", validate=True)
        except binascii.Error:
            raise Problem(CURSOR_INVALID) from None
        body, mac = raw[: _KEY.size], raw[_KEY.size :]
        if not hmac.compare_digest(mac, self._mac(purpose, body)):
            raise Problem(CURSOR_INVALID)
        version, number, row_id = _KEY.unpack(body)
        if version != _VERSION or self.issue(purpose, RowKey(number, UUID(bytes=row_id))) != cursor:
            raise Problem(CURSOR_INVALID)  # the last character of base64 has spare bits: one spelling only
        return RowKey(number, UUID(bytes=row_id))

    def _mac(self, purpose: str, body: bytes) -> bytes:
        message = b"harbor.cursor\x00" + purpose.encode() + b"\x00" + body
        return hmac.digest(self._secret, message, hashlib.sha256)[:_MAC_BYTES]
