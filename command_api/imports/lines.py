"""The lines of an import file: each becomes an order under a key, or is told to be bad. Streaming, never whole.

A line is an order, or `{"idempotency_key": ..., "order": ...}`; `refused`, which an import writes beside an order that
was refused, is not looked at. Where it wrote `{"refused": ..., "text": ...}`, because the line was no order at all, the
text is the line. A line without a key gets one that follows from the name of the run, the order's content
and, where the same content stands in the file more than once, the how-manieth it is: so another run over the same
file asks the same again, also when lines were added, removed or moved in between.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO, Final

import orjson

from command_api.handling.idempotency import parse_key
from infra.http.json_body import Json, canonical, parse_json
from infra.http.problems import Problem

MAX_BODY_BYTES: Final = 1_048_576
ENVELOPE: Final = b'{"orders":[%b]}'
ENVELOPE_BYTES: Final = len(ENVELOPE % b"")
_MARK: Final = b"\xef\xbb\xbf"
_BLANK: Final = b" \t\r\n"
_MEMBERS: Final = frozenset({"idempotency_key", "order", "refused"})
_REFUSED_TEXT: Final = frozenset({"refused", "text"})
_NOT_UTF8: Final = "body_not_utf8"
_LOST: Final = "\ufffd"
"""What an import writes for bytes that were no UTF-8; in a text refused for them it is nothing that anyone meant."""
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
        return b'{"idempotency_key":%b,"order":%b}' % (orjson.dumps(self.key), self.order)


@dataclass(frozen=True, slots=True)
class BadLine:
    """One line that cannot be sent, and why."""

    number: int
    code: str
    detail: str
    text: bytes


class SameOrders:
    """Counts orders of the same content in a temporary database, so that memory is bounded however long a file is."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # no name: a file that nobody else can see
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(f"PRAGMA cache_size = -{_COUNTER_CACHE_KIB}")
        self._database.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def count(self, digest: bytes) -> int:
        """Return the how-manieth order of this content it is."""
        self._database.execute(
            "INSERT INTO seen VALUES (?, 1) ON CONFLICT (digest) DO UPDATE SET times = times + 1", (digest,)
        )
        [times] = self._database.execute("SELECT times FROM seen WHERE digest = ?", (digest,)).fetchone()
        return int(times)

    def close(self) -> None:
        """Forget everything."""
        self._database.close()


def read_lines(file: BinaryIO, run: str) -> Iterator[OrderLine | BadLine]:
    """Return the lines of a file from its beginning; empty ones are passed over, line ends may be LF or CRLF."""
    with closing(SameOrders()) as same:
        number = 0
        while data := file.readline(MAX_BODY_BYTES):
            number += 1
            if len(data) == MAX_BODY_BYTES and not data.endswith(b"\n"):
                _skip_line(file)
                yield BadLine(number, "body_too_large", "The line is longer than a request may be.", b"")
                continue
            if number == 1:
                data = data.removeprefix(_MARK)
            data = data.strip(_BLANK)
            if data:
                yield _line(number, data, run, same)


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(MAX_BODY_BYTES)) and not rest.endswith(b"\n"):
        pass


def _line(number: int, data: bytes, run: str, same: SameOrders) -> OrderLine | BadLine:
    try:
        value = parse_json(data).value
        if not isinstance(value, dict):
            return BadLine(number, "wrong_type", "A line is a JSON object.", data)
        if value.keys() == _REFUSED_TEXT:
            return _mended(number, value, data, run, same)
        order: Json = value
        given: Json = None
        if "order" in value:
            if not value.keys() <= _MEMBERS:
                return BadLine(number, "unknown_field", "Beside an order there is only an idempotency_key.", data)
            order, given = value["order"], value.get("idempotency_key")
        content = canonical(order)
        key = _derived(run, order, content, same) if given is None else _given(given)
    except Problem as problem:
        return BadLine(number, problem.kind.code, problem.detail, data)
    line = OrderLine(number, key, content, given is None)
    if ENVELOPE_BYTES + len(line.item) > MAX_BODY_BYTES:
        return BadLine(number, "body_too_large", "The order is larger than a request may be.", data)
    return line


def _mended(number: int, record: dict[str, Json], data: bytes, run: str, same: SameOrders) -> OrderLine | BadLine:
    """Read the line that a refused one has as its text; refused again, it is that text and not the record around it."""
    refused, text = record["refused"], record["text"]
    if not isinstance(text, str):
        return BadLine(number, "wrong_type", "The text of a refused line is a string.", data)
    if _LOST in text and isinstance(refused, dict) and refused.get("code") == _NOT_UTF8:
        return BadLine(number, _NOT_UTF8, "The text still has U+FFFD where bytes were no UTF-8.", text.encode())
    return _line(number, text.encode().strip(_BLANK), run, same)


def _given(key: Json) -> str:
    return parse_key(key if isinstance(key, str) else "")


def _derived(run: str, order: Json, content: bytes, same: SameOrders) -> str:
    digest = hashlib.sha256(content).digest()
    # With a reference it is the same order wherever it stands: nobody has two orders of one reference.
    is_named = isinstance(order, dict) and order.get("external_reference") is not None
    times = 1 if is_named else same.count(digest)
    return "import-" + hashlib.sha256(f"{len(run)} {run} {times} ".encode() + digest).hexdigest()
