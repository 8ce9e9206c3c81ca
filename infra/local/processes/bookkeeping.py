"""Write down what runs, apart from what keeps it running: a full disk delays the files and stops nothing else."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

RETRY_S = 1.0


class Bookkeeping:
    """Calls `write` soon after `mark`, in one task (`run`); until it succeeds it is called again every `retry_s` s."""

    def __init__(self, write: Callable[[], None], say: Callable[[str], None], retry_s: float = RETRY_S) -> None:
        self._write = write
        self._say = say
        self._retry_s = retry_s
        self._marked = asyncio.Event()

    def mark(self) -> None:
        """Note that what is written down is no longer true."""
        self._marked.set()

    async def run(self) -> None:
        """Write whenever `mark` was called; one line says that it failed, one that it works again."""
        failed = False
        while True:
            await self._marked.wait()
            self._marked.clear()
            try:
                self._write()
            except Exception as error:  # noqa: BLE001  # a full disk, a file in the way: all runs on, so this does too
                if not failed:
                    self._tell(f"what runs cannot be written down ({error}); everything runs on, trying again")
                failed = True
                self._marked.set()
                await asyncio.sleep(self._retry_s)
                continue
            if failed:
                self._tell("what runs is written down again")
            failed = False

    def _tell(self, line: str) -> None:
        with suppress(Exception):
            self._say(line)
