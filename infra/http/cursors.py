"""Lists in pages: `limit` and `cursor`, the page itself, and what a cursor is.

    async def list_things(page: Annotated[Paging, Depends(paging)], ...) -> ThingPage:
        rows = await things(after=page.after, rows=page.rows)
        shown, next_cursor = page.cut(rows, lambda row: RowKey(row.number, row.id))
        return ThingPage.of(shown, next_cursor)

A cursor is the key of the last row and 16 bytes of MAC over it and what it was issued for (route, partner, mode,
filters). It cannot be forged, cannot be used with another filter or another partner's key, and needs no state. It never
expires: rows keep their keys forever (decision 0051).
"""

import base64
import binascii
import hashlib
import hmac
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Generic, Self, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import orjson
from fastapi import Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict

from infra.http.auth import principal_of
from infra.http.problems import CURSOR_INVALID, Problem
from infra.http.query_string import PARAMETER_CODES
from infra.http.validation import refused_as
from infra.ids import canonical_ids

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200

_KEY: Final = struct.Struct(">Bq16s")
_VERSION: Final = 1
_MAC_BYTES: Final = 16
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{55}", re.ASCII)
_LIMIT: Final = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_UNBOUND: Final = frozenset({"cursor", "limit"})
"""Parameters that a cursor is not bound to: the page size may change from page to page."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

Row = TypeVar("Row")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class RowKey:
    """The sort key of a row: a number (microseconds, or a version), and the id that breaks ties."""

    number: int
    id: UUID

    @classmethod
    def at(cls, instant: datetime, row_id: UUID) -> "RowKey":
        """Return the key of a row that is sorted by an instant."""
        return cls((instant - _EPOCH) // _MICROSECOND, row_id)

    @property
    def instant(self) -> datetime:
        """Return the instant of a row that is sorted by one."""
        return _EPOCH + self.number * _MICROSECOND


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
            Problem: 422; edited, cut, or issued for another list, filter, partner or mode.
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


def purpose(route: str, partner_id: str | None, livemode: bool, values: Mapping[str, str]) -> str:
    """Return the text a cursor of this list is bound to: another route, caller or filter has another text.

    `partner_id` is None for an installation key; `values` are all parameters of the request.
    """
    mode = "live" if livemode else "test"
    caller = f"installation/{mode}" if partner_id is None else f"partner/{partner_id}/{mode}"
    filters = sorted(
        (name, canonical_ids(value) if name.endswith("_id") else value)
        for name, value in values.items()
        if name not in _UNBOUND
    )
    return orjson.dumps([canonical_ids(route), caller, filters]).decode()


def _plain_number(text: Any) -> Any:
    """Return a limit as it is unless it is a text that is not written in the one way."""
    if isinstance(text, str) and not _LIMIT.fullmatch(text):
        raise ValueError
    return text


Limit = Annotated[
    int,
    Query(ge=1, le=MAX_LIMIT, description="Rows of a page, at most."),
    BeforeValidator(_plain_number),
    refused_as("limit_invalid", PARAMETER_CODES["limit_invalid"]),
]
Cursor = Annotated[
    str | None,
    Query(
        description="`next_cursor` of the page before, with the same filters.",
        examples=["AQAGN_6nTkvAAZqq8vnVx8PopToPbzsfLxC0Qm5vZGVyLWV4YW1wbGU"],
    ),
]


class Paging:
    """One page of a list: how many rows, after which one, and where the next page starts."""

    def __init__(self, request: Request, response: Response, limit: int, cursor: str | None) -> None:
        principal = principal_of(request)
        self._cursors: Cursors = request.scope["state"]["cursors"]
        self._path: str = request.scope["path"]
        self._values = dict(request.query_params)
        self._purpose = purpose(self._path, principal.partner_id, principal.livemode, self._values)
        self._response = response
        self.limit = limit
        self.after = None if cursor is None else self._cursors.read(self._purpose, cursor)
        """The row after which the page starts; None for the first page."""

    @property
    def after_number(self) -> int:
        """Return the number of the row after which the page starts; 0 for the first page."""
        return 0 if self.after is None else self.after.number

    @property
    def rows(self) -> int:
        """Return how many rows to ask for: one more than shown, to know whether there are more."""
        return self.limit + 1

    def cut(self, rows: Sequence[Row], key: Callable[[Row], RowKey]) -> tuple[Sequence[Row], str | None]:
        """Return the rows to show, and the cursor of the next page if there is one."""
        shown = rows[: self.limit]
        return shown, self.next_cursor(key(shown[-1])) if len(rows) > self.limit else None

    def next_cursor(self, last: RowKey) -> str:
        """Return the cursor of the page that follows a row; the response links to that page (RFC 8288)."""
        cursor = self._cursors.issue(self._purpose, last)
        self._response.headers["link"] = f'<{self._path}?{urlencode({**self._values, "cursor": cursor})}>; rel="next"'
        return cursor


async def paging(request: Request, response: Response, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Paging:
    """Return what every list takes; a dependency: `Annotated[Paging, Depends(paging)]`.

    Raises:
        Problem: 422; the cursor was not issued for this list, caller and filters.
    """
    return Paging(request, response, limit, cursor)


class Page(BaseModel, Generic[Item]):
    """A page of a list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: list[Item]
    has_more: bool
    next_cursor: str | None

    @classmethod
    def of(cls, data: Sequence[Item], next_cursor: str | None) -> Self:
        """Return a page; it is the last one when there is no cursor of a next one."""
        return cls(data=list(data), has_more=next_cursor is not None, next_cursor=next_cursor)
