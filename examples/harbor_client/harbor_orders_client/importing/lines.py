"""The lines of an import file. Each becomes an order under a key, or a refused line. The file is never read whole.

A line is an order, or `{"idempotency_key": ..., "order": ...}`. A line of the file of refused lines is read too:
`refused`, next to the order there, is ignored, and of `{"refused": ..., "text": ...}` the text is the line.

A line without a key gets one that follows from the name of the run, the order's content and, where the file has the
same content more than once, its number among those. Another run over the same file sends the same keys, also when
lines were added, removed or moved in between.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO, Final, NoReturn

from harbor_orders_client.documents.exact import canonical
from harbor_orders_client.documents.new_orders import KEY
from harbor_orders_client.operations.batches import ENVELOPE_BYTES, MAX_BYTES

_MARK: Final = b"\xef\xbb\xbf"
_BLANK: Final = b" \t\r\n"
_MEMBERS: Final = frozenset({"idempotency_key", "order", "refused"})
_REFUSED_TEXT: Final = frozenset({"refused", "text"})
_NOT_UTF8: Final = "body_not_utf8"
_LOST: Final = "\ufffd"
"""Stands for bytes that were not UTF-8 in the text of a refused line, and so for nothing that anyone meant."""
_COUNTER_CACHE_KIB: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One order to be sent. `order` are canonical bytes; a derived key is not the partner's own."""

    number: int
    key: str
    order: bytes
    is_key_derived: bool

    @property
    def item(self) -> bytes:
        """Return it as an item of a batch."""
        return b'{"idempotency_key":%b,"order":%b}' % (json.dumps(self.key).encode(), self.order)


@dataclass(frozen=True, slots=True)
class BadLine:
    """One line that cannot be sent, and why."""

    number: int
    code: str
    detail: str
    text: bytes


class _RefusedLineError(Exception):
    """Carries the code and the detail of a line that cannot be sent."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail


class SameOrders:
    """Counts orders of the same content in a temporary database, so that memory is bounded however long a file is."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # no name: a file that nobody else can see
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(f"PRAGMA cache_size = -{_COUNTER_CACHE_KIB}")
        self._database.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def count(self, digest: bytes) -> int:
        """Count an order. Return how many of this content there were so far, this one included."""
        self._database.execute(
            "INSERT INTO seen VALUES (?, 1) ON CONFLICT (digest) DO UPDATE SET times = times + 1", (digest,)
        )
        [times] = self._database.execute("SELECT times FROM seen WHERE digest = ?", (digest,)).fetchone()
        return int(times)

    def close(self) -> None:
        """Forget everything."""
        self._database.close()


def read_lines(file: BinaryIO, run: str) -> Iterator[OrderLine | BadLine]:
    """Return the lines of a file from its beginning; empty ones are skipped, line ends may be LF or CRLF."""
    with closing(SameOrders()) as same:
        number = 0
        while data := file.readline(MAX_BYTES):
            number += 1
            if len(data) == MAX_BYTES and not data.endswith(b"\n"):
                _skip_line(file)
                yield BadLine(number, "body_too_large", "The line is longer than a request may be.", b"")
                continue
            if number == 1:
                data = data.removeprefix(_MARK)
            data = data.strip(_BLANK)
            if data:
                yield _line(number, data, run, same)


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(MAX_BYTES)) and not rest.endswith(b"\n"):
        pass


def _line(number: int, data: bytes, run: str, same: SameOrders) -> OrderLine | BadLine:
    try:
        value = _object_of(data)
        if value.keys() == _REFUSED_TEXT:
            return _corrected(number, value, data, run, same)
        order, given = _order_and_key(value)
        content = canonical(order).encode()
        key = _derived_key(run, order, content, same) if given is None else _given_key(given)
    except _RefusedLineError as refused:
        return BadLine(number, refused.code, refused.detail, data)
    except UnicodeEncodeError:
        return BadLine(number, "invalid_unicode", "The line has half of a surrogate pair.", data)
    except RecursionError:
        return BadLine(number, "json_too_complex", "The line nests too deeply.", data)
    line = OrderLine(number, key, content, given is None)
    if ENVELOPE_BYTES + len(line.item) > MAX_BYTES:
        return BadLine(number, "body_too_large", "The order is larger than a request may be.", data)
    return line


def _order_and_key(value: dict[str, Any]) -> tuple[object, object]:
    if "order" not in value:
        return value, None
    if not value.keys() <= _MEMBERS:
        raise _RefusedLineError("unknown_field", "Beside an order there is only an idempotency_key.")
    return value["order"], value.get("idempotency_key")


def _corrected(number: int, record: dict[str, Any], data: bytes, run: str, same: SameOrders) -> OrderLine | BadLine:
    """Read the text of a refused line as the line. Refused again, it is that text and not the record around it."""
    refused, text = record["refused"], record["text"]
    if not isinstance(text, str):
        return BadLine(number, "wrong_type", "The text of a refused line is a string.", data)
    if _LOST in text and isinstance(refused, dict) and refused.get("code") == _NOT_UTF8:
        return BadLine(number, _NOT_UTF8, "The text still has U+FFFD where bytes were not UTF-8.", text.encode())
    return _line(number, text.encode().strip(_BLANK), run, same)


def _object_of(data: bytes) -> dict[str, Any]:
    """Return the JSON object of a line. What only the service can judge is left to it."""
    try:
        value = _DECODER.decode(data.decode())
    except UnicodeDecodeError:
        raise _RefusedLineError(_NOT_UTF8, "The line is not UTF-8.") from None
    except json.JSONDecodeError:
        raise _RefusedLineError("malformed_json", "The line is not JSON.") from None
    except (ValueError, InvalidOperation):
        raise _RefusedLineError("number_out_of_range", "The line has a number that is too large.") from None
    if not isinstance(value, dict):
        raise _RefusedLineError("wrong_type", "A line is a JSON object.")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RefusedLineError("duplicate_json_key", "The line has an object with the same key twice.")
    return members


def _constant(name: str) -> NoReturn:
    raise _RefusedLineError("malformed_json", f"{name} is not JSON.")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_float=Decimal, parse_constant=_constant)


def _given_key(key: object) -> str:
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise _RefusedLineError("idempotency_key_invalid", "A key is 1 to 255 visible ASCII characters.")
    return key.strip('"')


def _derived_key(run: str, order: object, content: bytes, same: SameOrders) -> str:
    digest = hashlib.sha256(content).digest()
    # With a reference it is the same order wherever it is in the file: nobody has two orders of one reference.
    is_named = isinstance(order, dict) and order.get("external_reference") is not None
    times = 1 if is_named else same.count(digest)
    return "import-" + hashlib.sha256(f"{len(run)} {run} {times} ".encode() + digest).hexdigest()
