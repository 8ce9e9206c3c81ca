"""What runs is written down when that is possible again, and nothing waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from infra.local.home import write_private
from infra.local.processes.bookkeeping import Bookkeeping
from tests.support.waiting import eventually


class Books:
    """A file that is written with what is true now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.truth: dict[str, object] = {}
        self.said: list[str] = []
        self.bookkeeping = Bookkeeping(lambda: write_private(path, self.truth), self.say, retry_s=0.01)

    def say(self, line: str) -> None:
        self.said.append(line)
        raise BrokenPipeError  # nobody listens any more


@asynccontextmanager
async def kept(path: Path) -> AsyncIterator[Books]:
    """Keep books while the context is open."""
    books = Books(path)
    task = asyncio.create_task(books.bookkeeping.run())
    try:
        yield books
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_could_not_be_written_is_written_as_it_is_then(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.mkdir()  # a file cannot replace it
    async with kept(path) as books:
        books.truth = {"pid": 1}
        books.bookkeeping.mark()
        await eventually(lambda: books.said)
        books.truth = {"pid": 2}
        path.rmdir()

        await eventually(lambda: len(books.said) == 2)

    assert path.read_text() == '{\n  "pid": 2\n}\n'
    assert "run.json" in books.said[0]
    assert books.said[1] == "what runs is written down again"
