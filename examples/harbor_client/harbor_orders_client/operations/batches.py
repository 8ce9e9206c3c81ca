"""Creating many orders: slices of what one request takes, every order answered by itself, none made twice.

A slice that is refused as a whole because of one order is halved until that order stands alone; one that is above the
partner's rate is cut to what the rate allows; what is not known about an order is settled by sending it again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from harbor_orders_client.documents.new_orders import NewOrder, encode
from harbor_orders_client.documents.reading import read
from harbor_orders_client.documents.responses import Order
from harbor_orders_client.errors import (
    ApiError,
    BatchInterrupted,
    HarborError,
    OutcomeUnknown,
    UnexpectedAnswer,
    error_of,
    problem_from,
)
from harbor_orders_client.operations.requests import ORDERS
from harbor_orders_client.transport.session import Session, document_of
from harbor_orders_client.transport.wire import Pause, Program, Reply, Request

BATCH: Final = f"{ORDERS}/batch"
MAX_ORDERS: Final = 500
MAX_BYTES: Final = 1_048_576
_ENVELOPE: Final = len(b'{"orders":[]}')
_REFUSED_FROM: Final = 400
_UNKNOWN_FROM: Final = 500
_BECAUSE_OF_ONE: Final = frozenset({400, 413, 422})


@dataclass(frozen=True, slots=True)
class BatchItem:
    """What became of one order: there now (`order`), or refused (`error`). `replayed`: by an earlier request."""

    new: NewOrder
    order: Order | None
    error: ApiError | None
    replayed: bool


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One answer of a batch, as the API gives it."""

    status: int
    replayed: bool
    location: str | None
    consistency_token: str | None
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Asked:
    place: int
    new: NewOrder
    content: bytes


@dataclass(slots=True)
class _Run:
    session: Session
    waiting: list[_Asked]
    size: int = MAX_ORDERS
    idle: int = 0
    settled: dict[int, BatchItem] = field(default_factory=dict)

    def results(self) -> list[BatchItem]:
        return [self.settled[place] for place in sorted(self.settled)]

    def step(self) -> Program[None]:
        """Send one slice and take in what came of it."""
        part = self._cut()
        try:
            results = yield from self.session.perform(_request(part))
        except ApiError as error:
            self._refused(part, error)
            return
        if len(results) != len(part):
            raise UnexpectedAnswer("a batch with more or fewer answers than orders")
        open_ = [asked for asked, result in zip(part, results, strict=True) if not self._take(asked, result)]
        self.waiting[: len(part)] = open_
        self.idle = self.idle + 1 if len(open_) == len(part) else 0
        if open_:
            yield from self._pause()

    def _cut(self) -> list[_Asked]:
        """Return the orders at the front that fit into one request, one at least."""
        part: list[_Asked] = []
        weight = _ENVELOPE
        for asked in self.waiting[: self.size]:
            weight += len(asked.content) + 1
            if part and weight > MAX_BYTES:
                break
            part.append(asked)
        return part

    def _refused(self, part: Sequence[_Asked], error: ApiError) -> None:
        """Make the slice smaller, or settle the one order that it is."""
        most = error.problem.members.get("max_commands")
        if error.status not in _BECAUSE_OF_ONE or (isinstance(most, int) and not 0 < most < len(part)):
            raise error
        if isinstance(most, int):
            self.size = most
        elif len(part) == 1:
            self.settled[part[0].place] = BatchItem(part[0].new, None, error, replayed=False)
            del self.waiting[0]
            self.size = MAX_ORDERS
        else:
            self.size = len(part) // 2

    def _take(self, asked: _Asked, result: BatchResult) -> bool:
        """Settle one order, unless its outcome is unknown or it may yet succeed."""
        error = None
        if result.status >= _REFUSED_FROM:
            error = error_of(problem_from(result.status, result.body))
            if result.status >= _UNKNOWN_FROM or error.retryable:
                return False
        order = read(Order, result.body) if error is None else None
        if result.consistency_token is not None:
            self.session.consistency.wrote(result.location or "", result.consistency_token)
        self.settled[asked.place] = BatchItem(asked.new, order, error, result.replayed)
        return True

    def _pause(self) -> Program[None]:
        rules = self.session.rules
        if self.idle > rules.patience.max_retries:
            raise OutcomeUnknown("the service does not settle these orders", None)
        yield Pause(
            rules.chance() * min(rules.patience.first_pause_s * float(2**self.idle), rules.patience.longest_pause_s)
        )


def create_many(session: Session, orders: Iterable[NewOrder]) -> Program[list[BatchItem]]:
    """Create orders; give what became of each, in their order.

    Raises:
        TypeError, ValueError: an amount is none; nothing was sent.
        BatchInterrupted: the service cannot be reached, or refuses the key; says what is settled and what is not.
    """
    asked = [
        _Asked(place, new, encode({"idempotency_key": new.idempotency_key, "order": new.document()}))
        for place, new in enumerate(orders)
    ]
    run = _Run(session, asked)
    while run.waiting:
        try:
            yield from run.step()
        except HarborError as error:
            reason = error.reason if isinstance(error, OutcomeUnknown) else str(error)
            raise BatchInterrupted(reason, run.results(), [each.new for each in run.waiting]) from error
    return run.results()


def _request(part: Sequence[_Asked]) -> Request[list[BatchResult]]:
    content = b'{"orders":[' + b",".join(each.content for each in part) + b"]}"
    return Request("POST", BATCH, _results, content=content)


@dataclass(frozen=True, slots=True)
class _Document:
    results: tuple[BatchResult, ...]


def _results(reply: Reply) -> list[BatchResult]:
    return list(read(_Document, document_of(reply)).results)
