"""The file of refused lines: mend the orders in it and import it; what is beside an order is not looked at then."""

import re
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from command_api.imports.lines import BadLine
from command_api.imports.sending import Outcome

_PLACE: Final = re.compile(r"/orders/\d+/order")
_RECORDED: Final = "duplicate_external_reference"
"""The refusal that is recorded: there is no order under the key and never will be, so a mended one needs another."""


class RefusedFile:
    """Written from the first refusal on. An older file of that name is kept under another: it may be half mended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self.count = 0

    def add(self, refused: Outcome | BadLine) -> None:
        """Write one line."""
        if self._file is None:
            keep(self.path)
            self._file = self.path.open("wb")
        self.count += 1
        record = _bad(refused) if isinstance(refused, BadLine) else _refused(refused)
        self._file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.close()


def keep(path: Path) -> None:
    """Rename what is at `path` to the first free of `path.1`, `path.2`, ..."""
    if not path.exists():
        return
    number = 1
    while (kept := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    path.rename(kept)


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
    """Give an error whose pointer leads into the order and not into the batch it happened to travel in."""
    return error | {"pointer": _PLACE.sub("", str(error.get("pointer", "")), count=1)}
