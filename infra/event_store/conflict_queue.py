"""Which commands may travel together: at most one per stream, per key and per claim; the others wait for their turn.

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
    """One waiting command. `item` is whatever the caller wants back with it."""

    command: AppendCommand
    item: T
    size_bytes: int
    shared: tuple[tuple[str, str, object], ...]
    waits_for: int = 0
    is_finished: bool = False
    followers: "tuple[QueuedCommand[T], ...]" = ()


class ConflictQueue(Generic[T]):
    """All unfinished commands: those ready to be sent in order of arrival, and those chained behind others."""

    def __init__(self) -> None:
        self._ready: deque[QueuedCommand[T]] = deque()
        self._last: dict[tuple[str, str, object], QueuedCommand[T]] = {}
        self.count = 0
        self.size_bytes = 0

    @property
    def has_ready(self) -> bool:
        """Return whether `take` would give anything."""
        return bool(self._ready)

    def add(self, command: AppendCommand, item: T) -> None:
        """Add a command behind every unfinished one that it shares a stream, key or claim with."""
        queued = QueuedCommand(command, item, size_bytes(command), _shared(command))
        last = self._last
        ahead: dict[int, QueuedCommand[T]] = {}
        for name in queued.shared:
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
        """Return ready commands, oldest first, at least one if any is ready and within both caps otherwise."""
        batch: list[QueuedCommand[T]] = []
        size = 0
        while self._ready and len(batch) < max_count:
            size += self._ready[0].size_bytes
            if batch and size > max_bytes:
                break
            batch.append(self._ready.popleft())
        return batch

    def finish(self, queued: QueuedCommand[T]) -> list[QueuedCommand[T]]:
        """Forget a command that was taken; give those that waited only for it. They must be readied or finished.

        Finishing one twice does nothing.
        """
        if queued.is_finished:
            return []
        queued.is_finished = True
        self.count -= 1
        self.size_bytes -= queued.size_bytes
        last = self._last
        for name in queued.shared:
            if last.get(name) is queued:
                del last[name]
        freed = []
        for follower in queued.followers:
            follower.waits_for -= 1
            if follower.waits_for == 0:
                freed.append(follower)
        queued.followers = ()
        return freed

    def ready(self, queued: QueuedCommand[T]) -> None:
        """Put a command that `finish` gave to the end of the ready ones."""
        self._ready.append(queued)

    def drain(self) -> Iterator[QueuedCommand[T]]:
        """Take every unfinished command out, for whoever closes the store."""
        while self._ready:
            queued = self._ready.popleft()
            self._ready.extend(self.finish(queued))
            yield queued


def size_bytes(command: AppendCommand) -> int:
    """Return about how many bytes a command occupies on its way."""
    return len(command.response) + sum([len(event.payload) for event in command.events])


def _shared(command: AppendCommand) -> tuple[tuple[str, str, object], ...]:
    names: tuple[tuple[str, str, object], ...] = (
        ("stream", command.tenant_id, command.stream_id),
        ("key", command.tenant_id, command.key),
    )
    return names if command.claim is None else (*names, ("claim", command.tenant_id, command.claim))
