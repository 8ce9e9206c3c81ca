"""The file of refused lines: correct the orders in it and import it. Whatever else is on the line is ignored then."""

import json
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, Final

from harbor_orders_client.errors import ApiError
from harbor_orders_client.importing.lines import BadLine, OrderLine
from harbor_orders_client.problems import FieldError

_PLACE: Final = re.compile(r"/orders/\d+/order")
_RECORDED: Final = "duplicate_external_reference"
"""The refusal that is recorded: no order will ever be under that key, so a corrected one needs another key."""


_REFUSED: Final = re.compile(r"(?P<name>.+)\.refused(?:-(?P<number>[0-9]{1,9}))?\.ndjson", re.DOTALL)


def refused_path(imported: Path) -> Path:
    """Return where the refused lines of a file go; those of a file of refused lines go under the next number."""
    found = _REFUSED.fullmatch(imported.name)
    if found is None:
        return imported.with_name(f"{imported.name}.refused.ndjson")
    return imported.with_name(f"{found['name']}.refused-{int(found['number'] or 1) + 1}.ndjson")


class RefusedFileError(Exception):
    """Refused lines cannot be written there; the message says why and what to do."""


class RefusedFile:
    """Written from the first refusal on. An older file of that name is renamed: it may be half corrected."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self.count = 0

    def check(self, imported: Path) -> None:
        """Check that lines can go there, before there are any. Change nothing.

        Raises:
            RefusedFileError: something is there that is neither a file nor a character device, or it is the file that
                is imported; or there is no directory for it.
        """
        try:
            mode = _mode(self.path)
        except OSError as error:
            raise RefusedFileError(f"{self.path} cannot be read ({error.strerror})") from error
        if mode is None:
            if not self.path.parent.is_dir():
                raise RefusedFileError(f"there is no directory {self.path.parent}")
        elif not stat.S_ISREG(mode) and not stat.S_ISCHR(mode):
            raise RefusedFileError(f"{self.path} exists and is not a file")
        elif self.path.samefile(imported):
            raise RefusedFileError(f"{self.path} is the file that is imported")

    def add(self, line: OrderLine | BadLine, error: ApiError | None = None) -> None:
        """Write one line, with the error of an order that the service refused. Once counted, it is in the file.

        Raises:
            RefusedFileError: it cannot be written.
        """
        record = _bad(line) if isinstance(line, BadLine) else _refused(line, error)
        with self._writing():
            if self._file is None:
                keep(self.path)
                self._file = self.path.open("wb")
            self._file.write(record + b"\n")
            self._file.flush()
        self.count += 1

    def close(self) -> None:
        """Finish the file.

        Raises:
            RefusedFileError: something of it could not be written, then or before.
        """
        if self._file is not None:
            with self._writing():
                self._file.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RefusedFileError(
                f"refused lines cannot be written to {self.path} ({error.strerror}): "
                "make room there, or choose another file with --refused"
            ) from error


def keep(path: Path) -> None:
    """Rename the file at `path` to the first free of `path.1`, `path.2`, ...; of a link, the file that it leads to.

    What is not a file is left alone: as root, even /dev/null could be renamed.
    """
    mode = _mode(path)
    if mode is None or not stat.S_ISREG(mode):
        return
    older, number = path.resolve(), 1
    while (kept := older.with_name(f"{older.name}.{number}")).exists():
        number += 1
    older.rename(kept)


def _mode(path: Path) -> int | None:
    """Return the mode of what is there, or where a link leads; None where there is nothing."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _bad(line: BadLine) -> bytes:
    reason = {"line": line.number, "code": line.code, "detail": line.detail}
    return _encoded({"refused": reason, "text": line.text.decode("utf-8", "replace")})


def _refused(line: OrderLine, error: ApiError | None) -> bytes:
    reason: dict[str, object] = {"line": line.number}
    if error is not None:
        reason |= {"status": error.status, "code": error.code, "detail": error.detail}
        reason["errors"] = [_in_order(each) for each in error.errors]
        if error.errors_omitted:
            reason["errors_omitted"] = error.errors_omitted
        if error.existing_order_id is not None:
            reason["existing_order_id"] = error.existing_order_id
    record: dict[str, object] = {"refused": reason}
    if error is None or error.code != _RECORDED:
        record["idempotency_key"] = line.key
    return b'%b,"order":%b}' % (_encoded(record).removesuffix(b"}"), line.order)


def _in_order(error: FieldError) -> dict[str, str]:
    """Return an error whose pointer leads into the order and not into the batch that carried it."""
    return asdict(error) | {"pointer": _PLACE.sub("", error.pointer, count=1)}


def _encoded(record: dict[str, object]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
