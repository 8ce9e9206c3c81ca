"""The two ways to send load over keep-alive connections: closed (wait for the response) and open (a fixed rate).

A closed loop waits for a response before it sends again, so a slow server is asked less and its worst moments hide
(coordinated omission). In an open loop request i is due at i / rate whatever happened to the others, and its latency
counts from then. Plain asyncio protocols and ready-made bytes: what the generator does itself must stay small.
"""

import asyncio
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from typing import Final, cast

from tests.bench.load.requests import RequestPlan, Source
from tests.bench.load.wire import Response
from tests.bench.report.model import NO_RESPONSE, Frozen

RESPONSE_DEADLINE_S: Final = 15.0
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
        rate_per_s: open loop at this fixed rate; None: closed loop.
        wants_locations: return the Location of every response.
    """

    ports: tuple[int, ...]
    connections: int
    warmup_s: float
    seconds: float
    requests: RequestPlan
    rate_per_s: float | None = None
    wants_locations: bool = False


class Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time; calls `done` after each response, `lost` when it is closed."""

    __slots__ = ("_done", "_lost", "_response", "_transport", "since_s")

    def __init__(self, done: Callable[["Connection", Response], None], lost: Callable[["Connection"], None]) -> None:
        self._done = done
        self._lost = lost
        self._response = Response()
        self.since_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, since_s: float) -> None:
        """Send a request whose latency counts from `since_s`."""
        self.since_s = since_s
        self._response.start()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take a part of the response."""
        if self._response.feed(data):
            self._done(self, self._response)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's name
        """Report it to the loop."""
        self._lost(self)

    def close(self) -> None:
        """Close it."""
        self._transport.close()


class Tally:
    """What both loops count: latencies in the window, statuses of everything."""

    def __init__(self, *, wants_locations: bool) -> None:
        self.samples_s = array("d")
        self.statuses: Counter[int] = Counter()
        self.locations: list[str] = []
        self._wants_locations = wants_locations

    def note(self, response: Response) -> None:
        """Count a response."""
        self.statuses[response.status] += 1
        if self._wants_locations:
            self.locations.append(response.location)


class ClosedLoop:
    """Each connection sends its next request when it has the response to the last."""

    def __init__(self, plan: LoadPlan, next_request: Source) -> None:
        self.tally = Tally(wants_locations=plan.wants_locations)
        self._plan = plan
        self._next = next_request
        self._begin_s = self._end_s = self._last_s = 0.0
        self._busy: set[Connection] = set()
        self._idle = asyncio.Event()

    async def run(self, connections: list[Connection]) -> float:
        """Drive the connections; return the length of the measured window in seconds."""
        self._begin_s = time.perf_counter() + self._plan.warmup_s
        self._end_s = self._begin_s + self._plan.seconds
        self._busy = set(connections)
        for connection in connections:
            self._send(connection)
        try:
            async with asyncio.timeout(self._plan.warmup_s + self._plan.seconds + RESPONSE_DEADLINE_S):
                await self._idle.wait()
        except TimeoutError:
            raise LoadError(f"{len(self._busy)} requests without a response after {RESPONSE_DEADLINE_S:g} s") from None
        return min(self._last_s, self._end_s) - self._begin_s

    def done(self, connection: Connection, response: Response) -> None:
        """Count the response and send the next request."""
        self._last_s = time.perf_counter()
        self.tally.note(response)
        if self._begin_s <= self._last_s <= self._end_s:
            self.tally.samples_s.append(self._last_s - connection.since_s)
        self._send(connection)

    def lost(self, connection: Connection) -> None:
        """Count a connection that the server closed."""
        if connection in self._busy:
            self.tally.statuses[NO_RESPONSE] += 1
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
    """Sends at a fixed rate whatever comes back; a request that finds no free connection waits, and its clock runs."""

    def __init__(self, plan: LoadPlan, next_request: Source, rate_per_s: float) -> None:
        self.tally = Tally(wants_locations=plan.wants_locations)
        self.late_s = array("d")
        self.unanswered = 0
        self._plan = plan
        self._rate_per_s = rate_per_s
        self._next = next_request
        self._free: deque[Connection] = deque()
        self._numbers: dict[Connection, int] = {}
        self._waiting: deque[int] = deque()
        self._start_s = 0.0

    async def run(self, connections: list[Connection]) -> float:
        """Drive the connections; return the length of the measured window in seconds."""
        self._free.extend(connections)
        self._start_s = time.perf_counter() + _FINEST_TICK_S
        total = round(self._rate_per_s * (self._plan.warmup_s + self._plan.seconds))
        sent = 0
        while sent < total:
            elapsed_s = time.perf_counter() - self._start_s
            due = min(total, int(elapsed_s * self._rate_per_s) + 1) if elapsed_s >= 0 else 0
            for number in range(sent, due):
                self._offer(number)
            sent = due
            await asyncio.sleep(_FINEST_TICK_S)
        deadline_s = time.perf_counter() + RESPONSE_DEADLINE_S
        while (self._numbers or self._waiting) and time.perf_counter() < deadline_s:  # noqa: ASYNC110  # once per run
            await asyncio.sleep(_FINEST_TICK_S)
        self._give_up()
        return self._plan.seconds

    def done(self, connection: Connection, response: Response) -> None:
        """Count the response and send what has waited longest."""
        self.tally.note(response)
        if self._is_measured(self._numbers.pop(connection)):
            self.tally.samples_s.append(time.perf_counter() - connection.since_s)
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._free.append(connection)

    def lost(self, connection: Connection) -> None:
        """Count a connection that the server closed."""
        if self._numbers.pop(connection, None) is not None:
            self.tally.statuses[NO_RESPONSE] += 1
        elif connection in self._free:
            self._free.remove(connection)

    def _is_measured(self, number: int) -> bool:
        return number / self._rate_per_s >= self._plan.warmup_s

    def _due_s(self, number: int) -> float:
        return self._start_s + number / self._rate_per_s

    def _offer(self, number: int) -> None:
        if self._free:
            self.late_s.append(time.perf_counter() - self._due_s(number))
            self._send(self._free.popleft(), number)
        else:
            self._waiting.append(number)

    def _send(self, connection: Connection, number: int) -> None:
        request = self._next()
        if request is None:
            raise LoadError("an open loop needs requests without end")
        self._numbers[connection] = number
        connection.send(request, self._due_s(number))

    def _give_up(self) -> None:
        """Count what has no response as having waited until now: to leave it out would flatter the slow."""
        now_s = time.perf_counter()
        for number in filter(self._is_measured, [*self._numbers.values(), *self._waiting]):
            self.unanswered += 1
            self.tally.samples_s.append(now_s - self._due_s(number))
