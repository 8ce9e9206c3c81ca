"""One import: send the slices of a file, several at once, and count what becomes of the orders."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import httpx

from harbor_orders_client.errors import HarborError
from harbor_orders_client.importing.lines import BadLine, OrderLine
from harbor_orders_client.importing.progress import Progress, Tally
from harbor_orders_client.importing.refusals import RefusedFile, RefusedFileError
from harbor_orders_client.importing.slices import FileSlice
from harbor_orders_client.operations.batches import BatchRun, Outcome, SliceSize
from harbor_orders_client.transport.http import run_async
from harbor_orders_client.transport.session import Session


@dataclass(frozen=True, slots=True)
class Import:
    """Everything that the slices of one import share."""

    session: Session
    http: httpx.AsyncClient
    refused: RefusedFile
    tally: Tally
    progress: Progress
    size: SliceSize = field(default_factory=SliceSize)

    async def send_all(self, slices: Iterator[FileSlice], in_flight: int) -> None:
        """Send all slices, and note what becomes of them in the order of the file.

        The file is read no further ahead than they are sent, and sent no further ahead than they are noted.

        Raises:
            HarborError, RefusedFileError, OSError: one cannot be finished. The others may have been written or not.
        """
        free = asyncio.Semaphore(in_flight)

        async def one(part: FileSlice, is_turn: asyncio.Event, is_done: asyncio.Event) -> None:
            try:
                outcomes = await self._send(part)
                await is_turn.wait()
                self._note(part, outcomes)
            finally:
                is_done.set()
                free.release()

        stopped: Exception | None = None
        is_turn = asyncio.Event()
        is_turn.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                for part in slices:
                    await free.acquire()
                    is_done = asyncio.Event()
                    tasks.create_task(one(part, is_turn, is_done))
                    is_turn = is_done
        except* (HarborError, RefusedFileError, OSError) as group:
            stopped = group.exceptions[0]
        if stopped is not None:
            raise stopped

    async def _send(self, part: FileSlice) -> Mapping[int, Outcome[None]]:
        """Return what became of the orders, by their place in the slice."""
        run = BatchRun(self.session, [line.item for line in part.orders], lambda _order: None, self.size)
        await run_async(run.send(), self.http, self.session, asyncio.sleep)
        return run.outcomes

    def _note(self, part: FileSlice, outcomes: Mapping[int, Outcome[None]]) -> None:
        known = {line.number: outcomes[place] for place, line in enumerate(part.orders)}
        lines: list[OrderLine | BadLine] = [*part.bad, *part.orders]
        for line in sorted(lines, key=lambda line: line.number):
            if isinstance(line, BadLine):
                self.refused.add(line)
                continue
            outcome = known[line.number]
            if outcome.error is not None:
                self.refused.add(line, outcome.error)
            elif outcome.replayed:
                self.tally.replayed += 1
            else:
                self.tally.created += 1
        self.tally.refused = self.refused.count
        self.tally.file_bytes += part.file_bytes
        self.progress.show(self.tally)
