"""Read your own writes: which Consistency-Token each read has to show.

The query service is milliseconds behind. The response to a command carries a token `<partition>.<position>`; a read
that shows it waits until that partition has come so far. One read shows one token. A read of one order shows the token
of that order. A list spans all partitions, so it is repeated with the token of each partition that it may still miss,
newest first; its `X-Read-Position` says what it holds anyway, which nearly always leaves nothing to repeat.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Final

TOKEN: Final = "consistency-token"  # noqa: S105  # a name, no secret
POSITION: Final = "x-read-position"
MAX_ORDERS: Final = 10_000
_ORDER: Final = re.compile(r"/orders/([0-9a-f-]{36})(?:/|$)", re.IGNORECASE | re.ASCII)


class Consistency:
    """What one client has written; shared by its threads. Forgets an order 10,000 orders later."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._orders: OrderedDict[str, str] = OrderedDict()
        self._written: dict[str, int] = {}
        self._seen: dict[str, dict[str, int]] = {}

    def wrote(self, path: str, token: str) -> None:
        """Remember the token of a response about the order in `path`; an older one changes nothing."""
        partition, position = _parts(token)
        order_id = _order_of(path)
        with self._lock:
            self._written[partition] = max(self._written.get(partition, 0), position)
            if order_id and position >= _parts(self._orders.get(order_id, token))[1]:
                self._orders[order_id] = token
                self._orders.move_to_end(order_id)
                if len(self._orders) > MAX_ORDERS:
                    self._orders.popitem(last=False)

    def of_order(self, path: str) -> str | None:
        """Return the token for a read of the order in `path`; None when this client knows of no change."""
        order_id = _order_of(path)
        with self._lock:
            return self._orders.get(order_id) if order_id else None

    def of_list(self, path: str) -> list[str]:
        """Return the tokens that the list at `path` may not have seen, newest first."""
        with self._lock:
            seen = self._seen.get(path, {})
            missing = [
                (position, partition)
                for partition, position in self._written.items()
                if position > seen.get(partition, -1)
            ]
        return [
            f"{partition}.{position}" if position else partition
            for position, partition in sorted(missing, reverse=True)
        ]

    def is_seen(self, path: str, token: str) -> bool:
        """Return whether the list at `path` has seen what a token stands for."""
        partition, position = _parts(token)
        with self._lock:
            return self._seen.get(path, {}).get(partition, -1) >= position

    def listed(self, path: str, token: str, headers: Mapping[str, str]) -> None:
        """Note that the list at `path` was returned for a `token`, with these headers."""
        partition, position = _parts(token)
        complete = headers.get(POSITION, "")
        upto = int(complete) if complete.isascii() and complete.isdecimal() else -1
        with self._lock:
            seen = self._seen.setdefault(path, {})
            seen[partition] = max(seen.get(partition, -1), position)
            for each, written in self._written.items():
                if written <= upto:
                    seen[each] = max(seen.get(each, -1), written)


def is_about_order(path: str) -> bool:
    """Return whether a path is about one order."""
    return _order_of(path) is not None


def _order_of(path: str) -> str | None:
    """Return the id of the order that a path is about, in lower case: the service takes either."""
    found = _ORDER.search(path)
    return found[1].lower() if found else None


def _parts(token: str) -> tuple[str, int]:
    partition, _, position = token.partition(".")
    return (partition, int(position)) if position.isascii() and position.isdecimal() else (token, 0)
