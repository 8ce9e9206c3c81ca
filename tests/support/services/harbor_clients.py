"""Both clients of examples/harbor_client under one hand: a test says what is called, for either of them."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from harbor_orders_client import AsyncHarborOrders, HarborOrders, NewLine, NewOrder

T = TypeVar("T")
Client = HarborOrders | AsyncHarborOrders
KINDS: Final = (HarborOrders, AsyncHarborOrders)
BELL: Final = NewLine("SHIP-BELL", 2, "19.99")
WANTED: Final = ("ada@example.com", "EUR", [BELL])
NOWHERE: Final = "http://127.0.0.1:9"


class Pauses(list[float]):
    """Waits as told, and remembers for how long."""

    def block(self, seconds: float) -> None:
        """Wait in a thread of its own: the test's loop goes on."""
        self.append(seconds)
        asyncio.run(asyncio.sleep(seconds))

    async def wait(self, seconds: float) -> None:
        """Wait in the loop."""
        self.append(seconds)
        await asyncio.sleep(seconds)


@asynccontextmanager
async def client_of(
    kind: type[Client], api_key: str, pauses: Pauses | None = None, **settings: Any
) -> AsyncIterator[Any]:
    """Return a client of either kind, closed in the end; `pauses` takes the times that it waited."""
    waited = Pauses() if pauses is None else pauses
    addresses = {"command_url": NOWHERE, "query_url": NOWHERE} | settings
    if kind is HarborOrders:
        with HarborOrders(api_key, sleep=waited.block, **addresses) as blocking:
            yield blocking
    else:
        async with AsyncHarborOrders(api_key, sleep=waited.wait, **addresses) as awaited:
            yield awaited


async def did(verb: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Return the result of a verb of either client; the one that blocks runs in a thread."""
    result = await asyncio.to_thread(verb, *arguments, **named)
    return await result if inspect.isawaitable(result) else result


async def all_of(items: Iterator[T] | AsyncIterator[T]) -> list[T]:
    """Return all items of a list of either client."""
    if isinstance(items, AsyncIterator):
        return [item async for item in items]
    return await asyncio.to_thread(list, items)


def new_orders(count: int, **fields: Any) -> list[NewOrder]:
    """Return so many orders to be made."""
    return [NewOrder("ada@example.com", "EUR", [BELL], **fields) for _ in range(count)]
