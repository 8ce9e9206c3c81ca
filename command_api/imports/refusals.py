"""The file of refused lines: mend the orders in it and import it; what is beside an order is not looked at then."""

import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from command_api.imports.lines import BadLine
from command_api.imports.sending import AbortError, Outcome

_PLACE: Final = re.compile(r"/orders/\d+/order")
_RECORDED: Final = "duplicate_external_reference"
"""The refusal that is recorded: there is no order under the key and never will be, so a mended one needs another."""


class PlaceError(Exception):
    """Refused lines cannot go there; the message says why."""


class RefusedFile:
    """Written from the first refusal on. An older file of that name is kept under another: it may be half mended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self.count = 0

    def check(self, imported: Path) -> None:
        """Look whether the lines can go there, before there are any; nothing is changed.

        Raises:
            PlaceError: something is there that is neither a file nor a device of characters, or is the file that is
                imported; or there is no directory for it.
        """
        try:
            mode = _mode(self.path)
        except OSError as error:
            raise PlaceError(f"{self.path} cannot be looked at ({error.strerror})") from error
        if mode is None:
            if not self.path.parent.is_dir():
                raise PlaceError(f"there is no directory {self.path.parent}")
        elif not stat.S_ISREG(mode) and not stat.S_ISCHR(mode):
            raise PlaceError(f"{self.path} is there and is no file")
        elif self.path.samefile(imported):
            raise PlaceError(f"{self.path} is the file that is imported")

    def add(self, refused: Outcome | BadLine) -> None:
        """Write one line; once it is counted it is on the file.

        Raises:
            AbortError: it cannot be written.
        """
        record = _bad(refused) if isinstance(refused, BadLine) else _refused(refused)
        with self._telling():
            if self._file is None:
                keep(self.path)
                self._file = self.path.open("wb")
            self._file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            self._file.flush()
        self.count += 1

    def close(self) -> None:
        """Finish the file.

        Raises:
            AbortError: something of it could not be written, then or before.
        """
        if self._file is not None:
            with self._telling():
                self._file.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise AbortError(
                f"refused lines cannot be written to {self.path} ({error.strerror}): "
                "make room there, or give another file with --refused"
            ) from error


def keep(path: Path) -> None:
    """Rename the file at `path` to the first free of `path.1`, `path.2`, ...; of a link, the file that it leads to.

    What is no file is left alone: as root, /dev/null could be renamed like anything else.
    """
    mode = _mode(path)
    if mode is None or not stat.S_ISREG(mode):
        return
    older, number = path.resolve(), 1
    while (kept := older.with_name(f"{older.name}.{number}")).exists():
        number += 1
    older.rename(kept)


def _mode(path: Path) -> int | None:
    """Return what kind of thing is there, or where a link leads; None where there is nothing."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _bad(line: BadLine) -> dict[str, object]:
    reason = {"line": line.number, "code": line.code, "detail": line.detail}
    return {"refused": reason, "text": line.text.decode("utf-8", "replace")}


def _refused(outcome: Outcome) -> dict[str, object]:
    line, problem = outcome.line, outcome.problem or {}
    code = problem.get("code")
    record: dict[str, object] = {
        "refused": {
            "line": line.number,
            "status": outcome.status,
            "code": code,
            "detail": problem.get("detail"),
            "errors": [_in_order(error) for error in problem.get("errors", ())],
        }
    }
    if code != _RECORDED:
        record["idempotency_key"] = line.key
    return record | {"order": orjson.Fragment(line.order)}


def _in_order(error: dict[str, Any]) -> dict[str, Any]:
    """Return an error whose pointer leads into the order and not into the batch it happened to travel in."""
    return error | {"pointer": _PLACE.sub("", str(error.get("pointer", "")), count=1)}
