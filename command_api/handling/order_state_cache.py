"""What this process has seen lately: orders, and the answers it gave.

A remembered order saves reading its stream for the next command on it. A stale one costs one conflict and one read,
never a wrong answer: correctness stays with the append. The bounds are on orders and on their lines together, so a
partner with huge orders cannot fill the memory.

A remembered answer saves asking the store for what a repeated request gets. It is committed and never changes, so it
cannot be stale unless the store itself is set back (decision 0041).
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from domain.order.state import OrderState
from infra import clock

MAX_ORDERS = 4_096
MAX_LINES = 65_536
MAX_ANSWERS = 16_384
MAX_ANSWER_BYTES = 16 * 1024 * 1024
ANSWERS_KEPT_S = 60.0
"""Clients repeat within seconds; far below the days for which a key is kept, so none outlives its record here."""


class Answer(NamedTuple):
    """What the client gets, now or then. `version` and `position` are of the order's last event at that time."""

    status: int
    body: bytes
    order_id: UUID
    version: int
    position: int
    replayed: bool
    code: str | None = None


class OrderStateCache:
    """The states of the orders used last, least recently used first out."""

    def __init__(self, max_orders: int = MAX_ORDERS, max_lines: int = MAX_LINES) -> None:
        self._max_orders = max_orders
        self._max_lines = max_lines
        self._states: OrderedDict[tuple[str, UUID], OrderState] = OrderedDict()
        self._lines = 0

    def __len__(self) -> int:
        return len(self._states)

    def get(self, tenant_id: str, order_id: UUID) -> OrderState | None:
        """Return the state of an order of this tenant as it was when it was last seen here."""
        state = self._states.get((tenant_id, order_id))
        if state is not None:
            self._states.move_to_end((tenant_id, order_id))
        return state

    def put(self, tenant_id: str, state: OrderState) -> None:
        """Remember a state that is in the store; an older one than is known is ignored."""
        known = self._states.get((tenant_id, state.order_id))
        if known is not None:
            if known.version > state.version:
                return
            self._lines -= len(known.lines)
        self._states[(tenant_id, state.order_id)] = state
        self._lines += len(state.lines)
        while len(self._states) > self._max_orders or self._lines > self._max_lines:
            _, dropped = self._states.popitem(last=False)
            self._lines -= len(dropped.lines)

    def forget(self, tenant_id: str, order_id: UUID) -> None:
        """Drop an order that turned out to be stale."""
        dropped = self._states.pop((tenant_id, order_id), None)
        if dropped is not None:
            self._lines -= len(dropped.lines)


class _Recorded(NamedTuple):
    fingerprint: bytes
    answer: Answer
    at_s: float


class RecentAnswers:
    """The answers recorded last, by tenant and idempotency key; the oldest go first, and all after `ANSWERS_KEPT_S`."""

    def __init__(
        self,
        max_answers: int = MAX_ANSWERS,
        max_bytes: int = MAX_ANSWER_BYTES,
        *,
        monotonic_s: Callable[[], float] = clock.monotonic_s,
    ) -> None:
        self._max_answers = max_answers
        self._max_bytes = max_bytes
        self._monotonic_s = monotonic_s
        self._answers: OrderedDict[tuple[str, str], _Recorded] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, tenant_id: str, key: str) -> tuple[bytes, Answer] | None:
        """Return the fingerprint of the request under a key, and what it was answered; None when that is not known."""
        recorded = self._answers.get((tenant_id, key))
        if recorded is None or self._monotonic_s() - recorded.at_s > ANSWERS_KEPT_S:
            return None
        return recorded.fingerprint, recorded.answer

    def put(self, tenant_id: str, key: str, fingerprint: bytes, answer: Answer) -> None:
        """Remember an answer that the store has just told or taken."""
        answers, at_s = self._answers, self._monotonic_s()
        known = answers.pop((tenant_id, key), None)
        if known is not None:
            self._bytes -= len(known.answer.body)
        answers[(tenant_id, key)] = _Recorded(fingerprint, answer, at_s)
        self._bytes += len(answer.body)
        while answers and self._is_over(next(iter(answers.values())), at_s):
            _, dropped = answers.popitem(last=False)
            self._bytes -= len(dropped.answer.body)

    def _is_over(self, oldest: _Recorded, at_s: float) -> bool:
        return (
            len(self._answers) > self._max_answers
            or self._bytes > self._max_bytes
            or at_s - oldest.at_s > ANSWERS_KEPT_S
        )
