"""The two ways to send load over keep-alive connections: closed (wait for the answer) and open (a fixed rate).

Plain asyncio protocols and ready-made bytes: what the generator does itself must stay small beside what it measures.
"""

import asyncio
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from typing import Final, cast

from tests.bench.model import NO_ANSWER, Frozen
from tests.bench.orders import RequestPlan, Source
from tests.bench.schedule import Schedule
from tests.bench.wire import Answer

ANSWER_DEADLINE_S: Final = 15.0
_FINEST_TICK_S: Final = 0.001


class LoadError(Exception):
    """The generator could not do its work; the message says why."""


class LoadPlan(Frozen):
    """What to send where.

    Attributes:
        ports: on the loopback address; connections are spread over them.
        connections: open at once.
        warmup_s: seconds before the measured window.
        seconds: length of the measured window; a plan whose requests run out ends then.
        requests: what to send.
        rate_per_s: open loop at this fixed rate; None: closed loop, each connection sends as soon as it has its answer.
        wants_locations: give the Location of every answer.
    """

    ports: tuple[int, ...]
    connections: int
    warmup_s: float
    seconds: float
    requests: RequestPlan
    rate_per_s: float | None = None
    wants_locations: bool = False


class Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time. `done` is called with each answered or lost request."""

    __slots__ = ("_answer", "_done", "_lost", "_transport", "since_s")

    def __init__(self, done: Callable[["Connection", Answer], None], lost: Callable[["Connection"], None]) -> None:
        self._done = done
        self._lost = lost
        self._answer = Answer()
        self.since_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, since_s: float) -> None:
        """Send a request whose latency counts from `since_s`."""
        self.since_s = since_s
        self._answer.start()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take a part of the answer."""
        if self._answer.feed(data):
            self._done(self, self._answer)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's name
        """Tell the loop."""
        self._lost(self)

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


class Tally:
    """What both loops count: samples in the window, statuses of everything."""

    def __init__(self, *, wants_locations: bool) -> None:
        self.samples_s = array("d")
        self.statuses: Counter[int] = Counter()
        self.locations: list[str] = []
        self._wants_locations = wants_locations

    def note(self, answer: Answer) -> None:
        """Count an answer."""
        self.statuses[answer.status] += 1
        if self._wants_locations:
            self.locations.append(answer.location)


class ClosedLoop:
    """Each connection sends its next request when it has the answer to the last."""

    def __init__(self, plan: LoadPlan, next_request: Source) -> None:
        self.tally = Tally(wants_locations=plan.wants_locations)
        self._plan = plan
        self._next = next_request
        self._begin_s = 0.0
        self._end_s = 0.0
        self._last_s = 0.0
        self._busy: set[Connection] = set()
        self._idle = asyncio.Event()

    async def run(self, connections: list[Connection]) -> float:
        """Drive the connections; give the length of the measured window in seconds."""
        self._begin_s = time.perf_counter() + self._plan.warmup_s
        self._end_s = self._begin_s + self._plan.seconds
        self._busy = set(connections)
        for connection in connections:
            self._send(connection)
        limit_s = self._plan.warmup_s + self._plan.seconds + ANSWER_DEADLINE_S
        try:
            async with asyncio.timeout(limit_s):
                await self._idle.wait()
        except TimeoutError:
            raise LoadError(f"{len(self._busy)} requests without an answer after {ANSWER_DEADLINE_S:g} s") from None
        return min(self._last_s, self._end_s) - self._begin_s

    def answered(self, connection: Connection, answer: Answer) -> None:
        """Count and go on."""
        now_s = time.perf_counter()
        self._last_s = now_s
        self.tally.note(answer)
        if self._begin_s <= now_s <= self._end_s:
            self.tally.samples_s.append(now_s - connection.since_s)
        self._send(connection)

    def lost(self, connection: Connection) -> None:
        """Count a connection that the server closed."""
        if connection in self._busy:
            self.tally.statuses[NO_ANSWER] += 1
            self._rest(connection)

    def _send(self, connection: Connection) -> None:
        now_s = time.perf_counter()
        request = self._next() if now_s < self._end_s else None
        if request is None:
            self._rest(connection)
        else:
            connection.send(request, now_s)

    def _rest(self, connection: Connection) -> None:
        self._busy.discard(connection)
        if not self._busy:
            self._idle.set()


class OpenLoop:
    """Sends at a fixed rate whatever comes back; what finds no free connection waits, and its clock runs."""

    def __init__(self, plan: LoadPlan, next_request: Source, rate_per_s: float) -> None:
        self.tally = Tally(wants_locations=plan.wants_locations)
        self.late_s = array("d")
        self.unanswered = 0
        self._schedule = Schedule(rate_per_s, plan.warmup_s, plan.seconds)
        self._next = next_request
        self._free: deque[Connection] = deque()
        self._numbers: dict[Connection, int] = {}
        self._waiting: deque[int] = deque()
        self._start_s = 0.0

    async def run(self, connections: list[Connection]) -> float:
        """Drive the connections; give the length of the measured window in seconds."""
        self._free.extend(connections)
        self._start_s = time.perf_counter() + _FINEST_TICK_S
        sent = 0
        while sent < self._schedule.total:
            due = self._schedule.due_by(time.perf_counter() - self._start_s)
            for number in range(sent, due):
                self._offer(number)
            sent = due
            await asyncio.sleep(_FINEST_TICK_S)
        deadline_s = time.perf_counter() + ANSWER_DEADLINE_S
        while (self._numbers or self._waiting) and time.perf_counter() < deadline_s:  # noqa: ASYNC110  # once per run
            await asyncio.sleep(_FINEST_TICK_S)
        self._give_up()
        return self._schedule.seconds

    def answered(self, connection: Connection, answer: Answer) -> None:
        """Count, and send what waited longest."""
        self.tally.note(answer)
        number = self._numbers.pop(connection)
        if self._schedule.is_measured(number):
            self.tally.samples_s.append(time.perf_counter() - connection.since_s)
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._free.append(connection)

    def lost(self, connection: Connection) -> None:
        """Count a connection that the server closed."""
        if self._numbers.pop(connection, None) is not None:
            self.tally.statuses[NO_ANSWER] += 1
        elif connection in self._free:
            self._free.remove(connection)

    def _offer(self, number: int) -> None:
        if not self._free:
            self._waiting.append(number)
            return
        self.late_s.append(time.perf_counter() - self._start_s - self._schedule.due_s(number))
        self._send(self._free.popleft(), number)

    def _send(self, connection: Connection, number: int) -> None:
        request = self._next()
        if request is None:
            raise LoadError("an open loop needs requests without end")
        self._numbers[connection] = number
        connection.send(request, self._start_s + self._schedule.due_s(number))

    def _give_up(self) -> None:
        """Count what has no answer as having waited until now: leaving it out would flatter the slow."""
        now_s = time.perf_counter() - self._start_s
        for number in [*self._numbers.values(), *self._waiting]:
            if self._schedule.is_measured(number):
                self.unanswered += 1
                self.tally.samples_s.append(now_s - self._schedule.due_s(number))
