"""Create many orders: slices of what one request takes, each order with its own outcome, none made twice.

A slice that is refused as a whole because of one order is halved until that order stands alone. One that is above the
partner's rate is cut to what the rate allows. An order whose outcome is unknown is sent again under the same key.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from harbor_orders_client.documents.new_orders import NewOrder, encode
from harbor_orders_client.documents.reading import read
from harbor_orders_client.documents.responses import Order
from harbor_orders_client.errors import (
    ApiError,
    BatchInterrupted,
    HarborError,
    OutcomeUnknown,
    UnexpectedResponse,
    error_of,
)
from harbor_orders_client.operations.requests import ORDERS
from harbor_orders_client.problems import problem_from
from harbor_orders_client.transport.session import Session, document_of
from harbor_orders_client.transport.wire import Pause, Program, Reply, Request

T_co = TypeVar("T_co", covariant=True)
BATCH: Final = f"{ORDERS}/batch"
MAX_ORDERS: Final = 500
MAX_BYTES: Final = 1_048_576
ENVELOPE: Final = b'{"orders":[%b]}'
ENVELOPE_BYTES: Final = len(ENVELOPE % b"")
_REFUSED_FROM: Final = 400
_UNKNOWN_FROM: Final = 500
_BECAUSE_OF_ONE: Final = frozenset({400, 413, 422})


@dataclass(frozen=True, slots=True)
class BatchItem:
    """The outcome of one order: it exists (`order`) or was refused (`error`). `replayed`: by an earlier request."""

    new: NewOrder
    order: Order | None
    error: ApiError | None
    replayed: bool


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The outcome of one order, as the API returns it."""

    idempotency_key: str | None
    status: int
    replayed: bool
    location: str | None
    etag: str | None
    consistency_token: str | None
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T_co]):
    """The outcome of one order: it exists (`order`) or was refused (`error`)."""

    order: T_co | None
    error: ApiError | None
    replayed: bool


@dataclass(slots=True)
class SliceSize:
    """How many orders go into one request; less than `MAX_ORDERS` once the rate is known to allow no more."""

    most: int = MAX_ORDERS


@dataclass(slots=True)
class BatchRun(Generic[T_co]):
    """Send orders until the outcome of each is known.

    Attributes:
        session: of the client.
        items: the orders as the JSON of batch items.
        read_order: makes what the outcome holds of the document of an order.
        size: shared by runs of the same key.
        outcomes: those known so far, by the place of the order.
    """

    session: Session
    items: Sequence[bytes]
    read_order: Callable[[Mapping[str, Any]], T_co]
    size: SliceSize = field(default_factory=SliceSize)
    outcomes: dict[int, Outcome[T_co]] = field(default_factory=dict)
    _open: list[int] = field(init=False)
    _halved: int = MAX_ORDERS
    _idle_rounds: int = 0
    _progress_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._open = list(range(len(self.items)))

    def send(self) -> Program[None]:
        """Send until all outcomes are known.

        Raises:
            HarborError: the service cannot be reached, refuses the key, or stays busy for too long. Orders that
                are not in `outcomes` may have been created or not.
        """
        self._progress_s = self.session.rules.monotonic_s()
        while self._open:
            part = self._cut()
            try:
                results = yield from self.session.perform(_request([self.items[place] for place in part]))
            except ApiError as error:
                self._refused(part, error)
                continue
            if len(results) != len(part):
                raise UnexpectedResponse("a batch with more or fewer results than orders")
            still_open = [place for place, result in zip(part, results, strict=True) if not self._take(place, result)]
            self._open[: len(part)] = still_open
            if len(still_open) < len(part):
                self._idle_rounds, self._progress_s = 0, self.session.rules.monotonic_s()
            else:
                self._idle_rounds += 1
            if still_open:
                yield self._pause()

    def _cut(self) -> list[int]:
        """Return the places of the first orders that fit into one request, at least one."""
        part: list[int] = []
        size_bytes = ENVELOPE_BYTES
        for place in self._open[: min(self.size.most, self._halved)]:
            size_bytes += len(self.items[place]) + 1
            if part and size_bytes > MAX_BYTES:
                break
            part.append(place)
        return part

    def _refused(self, part: Sequence[int], error: ApiError) -> None:
        """Make the slice smaller, or note the refusal of the one order that is in it."""
        most = error.problem.members.get("max_commands")
        if error.status not in _BECAUSE_OF_ONE or (isinstance(most, int) and not 0 < most < len(part)):
            raise error
        if isinstance(most, int):
            self.size.most = most
        elif len(part) == 1:
            self.outcomes[part[0]] = Outcome(None, error, replayed=False)
            del self._open[0]
            self._halved = MAX_ORDERS
        else:
            self._halved = len(part) // 2

    def _take(self, place: int, result: BatchResult) -> bool:
        """Note the outcome of one order, unless it is unknown or the order may yet be created."""
        error = None
        if result.status >= _REFUSED_FROM:
            error = error_of(problem_from(result.status, result.body))
            if result.status >= _UNKNOWN_FROM or error.retryable:
                return False
        order = self.read_order(result.body) if error is None else None
        if result.consistency_token is not None:
            self.session.consistency.wrote(result.location or "", result.consistency_token)
        self.outcomes[place] = Outcome(order, error, result.replayed)
        return True

    def _pause(self) -> Pause:
        rules, patience = self.session.rules, self.session.rules.patience
        idle_s = rules.monotonic_s() - self._progress_s
        if self._idle_rounds > patience.max_retries or idle_s > patience.total_timeout_s:
            raise OutcomeUnknown("the outcome of these orders stays unknown", None)
        return Pause(rules.backoff_s(self._idle_rounds))


def create_many(session: Session, orders: Iterable[NewOrder]) -> Program[list[BatchItem]]:
    """Create orders. Return the outcome of each, in their order.

    Raises:
        TypeError, ValueError: an amount is not one; nothing was sent.
        BatchInterrupted: the service cannot be reached, or refuses the key; has the results so far and what remains.
    """
    new = list(orders)
    items = [encode({"idempotency_key": each.idempotency_key, "order": each.document()}) for each in new]
    run = BatchRun(session, items, lambda body: read(Order, body))
    try:
        yield from run.send()
    except HarborError as error:
        reason = error.reason if isinstance(error, OutcomeUnknown) else str(error)
        remaining = [each for place, each in enumerate(new) if place not in run.outcomes]
        raise BatchInterrupted(reason, _items(new, run.outcomes), remaining) from error
    return _items(new, run.outcomes)


def _items(new: Sequence[NewOrder], outcomes: Mapping[int, Outcome[Order]]) -> list[BatchItem]:
    return [
        BatchItem(new[place], known.order, known.error, known.replayed) for place, known in sorted(outcomes.items())
    ]


def _request(part: Sequence[bytes]) -> Request[list[BatchResult]]:
    return Request("POST", BATCH, _results, content=ENVELOPE % b",".join(part))


@dataclass(frozen=True, slots=True)
class _Document:
    results: tuple[BatchResult, ...]


def _results(reply: Reply) -> list[BatchResult]:
    return list(read(_Document, document_of(reply)).results)
