"""Which commands may travel in one batch: at most one per stream, per key and per claim.

Pure bookkeeping, no I/O. A command that shares a stream, key or claim with an earlier unfinished one is chained behind
it and becomes ready when that one is finished. So order per stream is kept, one busy stream never blocks the others,
and every operation costs the same however many commands wait.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from infra.event_store.protocol import AppendCommand

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class QueuedCommand(Generic[T]):
    """One unfinished command. `item` belongs to the caller."""

    command: AppendCommand
    item: T
    size_bytes: int
    names: tuple[tuple[str, str, object], ...]
    waits_for: int = 0
    is_finished: bool = False
    followers: "tuple[QueuedCommand[T], ...]" = ()


class ConflictQueue(Generic[T]):
    """All unfinished commands: those ready to be sent, in order of arrival, and those chained behind others."""

    def __init__(self) -> None:
        self._ready: deque[QueuedCommand[T]] = deque()
        self._last: dict[tuple[str, str, object], QueuedCommand[T]] = {}
        self.count = 0
        self.size_bytes = 0

    def add(self, command: AppendCommand, item: T) -> None:
        """Add a command behind every unfinished one that it shares a stream, key or claim with."""
        queued = QueuedCommand(command, item, size_bytes(command), _names(command))
        last = self._last
        ahead: dict[int, QueuedCommand[T]] = {}
        for name in queued.names:
            earlier = last.get(name)
            if earlier is not None:
                ahead[id(earlier)] = earlier
            last[name] = queued
        self.count += 1
        self.size_bytes += queued.size_bytes
        if not ahead:
            self._ready.append(queued)
            return
        queued.waits_for = len(ahead)
        for earlier in ahead.values():
            earlier.followers = (*earlier.followers, queued)

    def take(self, max_count: int, max_bytes: int) -> list[QueuedCommand[T]]:
        """Return ready commands, oldest first, within both caps; one that is larger than `max_bytes` comes alone."""
        batch: list[QueuedCommand[T]] = []
        size = 0
        while self._ready and len(batch) < max_count:
            size += self._ready[0].size_bytes
            if batch and size > max_bytes:
                break
            batch.append(self._ready.popleft())
        return batch

    def finish(self, queued: QueuedCommand[T]) -> list[QueuedCommand[T]]:
        """Remove a command that was taken and return those that waited only for it, to be made ready or finished.

        Finishing one twice does nothing.
        """
        if queued.is_finished:
            return []
        queued.is_finished = True
        self.count -= 1
        self.size_bytes -= queued.size_bytes
        last = self._last
        for name in queued.names:
            if last.get(name) is queued:
                del last[name]
        freed = []
        for follower in queued.followers:
            follower.waits_for -= 1
            if follower.waits_for == 0:
                freed.append(follower)
        queued.followers = ()
        return freed

    def make_ready(self, queued: QueuedCommand[T]) -> None:
        """Append a command that `finish` returned to the ready ones."""
        self._ready.append(queued)

    def drain(self) -> Iterator[QueuedCommand[T]]:
        """Remove and return every unfinished command."""
        while self._ready:
            queued = self._ready.popleft()
            self._ready.extend(self.finish(queued))
            yield queued


def size_bytes(command: AppendCommand) -> int:
    """Return about how many bytes a command takes in a call."""
    return len(command.response) + sum([len(event.payload) for event in command.events])


def _names(command: AppendCommand) -> tuple[tuple[str, str, object], ...]:
    """Return what no other command of the same batch may name."""
    names: tuple[tuple[str, str, object], ...] = (
        ("stream", command.tenant_id, command.stream_id),
        ("key", command.tenant_id, command.key),
    )
    return names if command.claim is None else (*names, ("claim", command.tenant_id, command.claim))
