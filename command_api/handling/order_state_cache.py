"""The orders that this process used last, so that the next command on one need not read its stream.

A stale order costs one conflict and one read, never a wrong response: correctness stays with the append. Orders and
their lines are bounded together, so a partner with huge orders cannot fill the memory.
"""

from collections import OrderedDict
from uuid import UUID

from domain.order.state import OrderState

MAX_ORDERS = 4_096
MAX_LINES = 65_536


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
