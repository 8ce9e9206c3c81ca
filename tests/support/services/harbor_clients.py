"""Both clients of examples/harbor_client behind one interface: a test says what is called, for either of them."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from harbor_orders_client import AsyncHarborOrders, HarborOrders, NewLine, NewOrder
from harbor_orders_client.transport.retries import Rules
from harbor_orders_client.transport.wire import Finished, Outcome, Pause, Program, Send, advance

T = TypeVar("T")
CLIENT: Final = Path(__file__).resolve().parents[3] / "examples" / "harbor_client"
Client = HarborOrders | AsyncHarborOrders
KINDS: Final = (HarborOrders, AsyncHarborOrders)
BELL: Final = NewLine("SHIP-BELL", 2, "19.99")
WANTED: Final = ("ada@example.com", "EUR", [BELL])
NOWHERE: Final = "http://127.0.0.1:9"


class Pauses(list[float]):
    """Sleeps, and remembers for how long."""

    def block(self, seconds: float) -> None:
        """Wait in a thread of its own: the test's loop goes on."""
        self.append(seconds)
        asyncio.run(asyncio.sleep(seconds))

    async def wait(self, seconds: float) -> None:
        """Wait in the loop."""
        self.append(seconds)
        await asyncio.sleep(seconds)


@dataclass
class Played:
    """What a program did with some outcomes: its sends, its pauses, and how it ended."""

    sends: list[Send]
    pauses: list[float]
    end: object

    @property
    def bodies(self) -> list[Any]:
        """Return the JSON that was sent each time."""
        return [json.loads(send.request.content) for send in self.sends]


def drive(
    program: Callable[[Rules], Program[T]], outcomes: Sequence[Outcome], rules: Rules | None = None, chance: float = 1.0
) -> Played:
    """Let a program meet outcomes, the last one as often as it sends. A pause takes the time it says, a send none."""
    now_s, left, play = [0.0], list(outcomes), Played([], [], None)
    step = program(replace(rules or Rules(), monotonic_s=lambda: now_s[0], chance=lambda: chance))
    try:
        wish = advance(step, None)
        while not isinstance(wish, Finished):
            if isinstance(wish, Pause):
                play.pauses.append(wish.seconds)
                now_s[0] += wish.seconds
                wish = advance(step, None)
            else:
                play.sends.append(wish)
                wish = advance(step, left.pop(0) if len(left) > 1 else left[0])
        play.end = wish.result
    except Exception as error:  # noqa: BLE001  # whatever it is, the test looks at it
        play.end = error
    return play


@asynccontextmanager
async def client_of(
    kind: type[Client], api_key: str, pauses: Pauses | None = None, **settings: Any
) -> AsyncIterator[Any]:
    """Return a client of either kind, closed at the end; `pauses` records how long it slept."""
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
    """Return orders to be created."""
    return [NewOrder("ada@example.com", "EUR", [BELL], **fields) for _ in range(count)]
