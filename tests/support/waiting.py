"""Waiting for a condition instead of sleeping: polls every 10 ms until a deadline."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

from infra import clock

T = TypeVar("T")
POLL_S = 0.01
PATIENCE_S = 30.0
"""Costs nothing where all is well, and a machine that stalls for seconds makes no test fail."""


@overload
async def eventually(predicate: Callable[[], Awaitable[T]], timeout_s: float = PATIENCE_S, what: str = "") -> T: ...
@overload
async def eventually(predicate: Callable[[], T], timeout_s: float = PATIENCE_S, what: str = "") -> T: ...
async def eventually(predicate: Callable[[], object], timeout_s: float = PATIENCE_S, what: str = "") -> object:
    """Return the first truthy answer of the predicate, which may be a coroutine function.

    Raises:
        AssertionError: no truthy answer within `timeout_s` seconds; names `what` and the last answer.
    """
    deadline = clock.monotonic_s() + timeout_s
    while True:
        answer = predicate()
        value = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if clock.monotonic_s() > deadline:
            raise AssertionError(f"still not true after {timeout_s} s: {what or predicate} (last answer: {value!r})")
        await asyncio.sleep(POLL_S)
