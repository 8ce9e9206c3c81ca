"""Slices of an import file: as many lines as one request takes, by number and by bytes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from harbor_orders_client.importing.lines import BadLine, OrderLine, read_lines
from harbor_orders_client.operations.batches import ENVELOPE_BYTES, MAX_BYTES


@dataclass(slots=True)
class FileSlice:
    """Consecutive lines; `file_bytes` is the size of their part of the file."""

    orders: list[OrderLine] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    file_bytes: int = 0

    @property
    def lines(self) -> int:
        """Return how many lines there are."""
        return len(self.orders) + len(self.bad)


def read_slices(file: BinaryIO, run: str, max_orders: int) -> Iterator[FileSlice]:
    """Return the file in slices of at most `max_orders` lines whose body is at most 1 MiB."""
    part, size_bytes, begin = FileSlice(), ENVELOPE_BYTES, 0
    for line in read_lines(file, run):
        more = len(line.item) + 1 if isinstance(line, OrderLine) else 0
        if part.lines == max_orders or size_bytes + more > MAX_BYTES:
            yield part
            part, size_bytes = FileSlice(), ENVELOPE_BYTES
        if isinstance(line, OrderLine):
            part.orders.append(line)
        else:
            part.bad.append(line)
        size_bytes += more
        end = file.tell()
        part.file_bytes, begin = part.file_bytes + end - begin, end
    if part.lines:
        yield part
