"""A step is repeated until it is stopped; its failures are explained, logged once and backed off from."""

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from infra.observability.health import NotReadyReason
from infra.retry_loop import CALM_S, Cause, RetryLoop

CAUSES = (
    Cause(MemoryError, "memory_short", retry_s=10.0),
    Cause((OSError, ValueError), "database_unreachable"),
    Cause(LookupError, "topic_unusable", each_message=True),
)


class Steps:
    """A step that fails with each of the errors in turn and succeeds where there is None; stops after the last."""

    def __init__(
        self, *results: Exception | None, backoff_s: Sequence[float] = (0.0,), lasting_s: Iterable[float] = ()
    ) -> None:
        self.logged: list[NotReadyReason | None] = []
        self.stop = asyncio.Event()
        self.loop = RetryLoop(CAUSES, self._log, backoff_s, lambda: self.now_s)
        self.now_s = 0.0
        self._results = list(results)
        self._lasting_s = iter(lasting_s)

    def _log(self, reason: NotReadyReason | None, _error: Exception | None) -> None:
        self.logged.append(reason)

    async def step(self) -> float:
        result = self._results.pop(0)
        self.now_s += next(self._lasting_s, 0.0)
        if not self._results:
            self.stop.set()
        if result is not None:
            raise result
        return 0.0

    async def attempts(self) -> list[float]:
        """Run all steps without waiting; return the pause after each."""
        return [await self.loop.attempt(self.step) for _ in range(len(self._results))]


async def test_each_change_of_the_reason_is_logged_once() -> None:
    steps = Steps(OSError(), ValueError(), MemoryError(), None, None, OSError())

    assert steps.loop.waiting_for() == ("starting",)
    await steps.attempts()

    assert steps.logged == ["database_unreachable", "memory_short", None, "database_unreachable"]
    assert steps.loop.waiting_for() == ("database_unreachable",)


async def test_another_message_under_the_same_reason_is_a_change_where_each_says_what_to_do() -> None:
    steps = Steps(
        LookupError("retention"), LookupError("retention"), LookupError("compaction"), OSError("a"), OSError("b")
    )

    await steps.attempts()

    assert steps.logged == ["topic_unusable", "topic_unusable", "database_unreachable"]


def test_a_cause_may_fit_what_an_error_was_raised_from() -> None:
    wrapped = LookupError()
    wrapped.__cause__ = OSError()

    assert [Cause(OSError, "memory_short", or_below=below).fits(wrapped) for below in (True, False)] == [True, False]


async def test_pauses_grow_to_a_bound_and_start_again_after_a_success() -> None:
    steps = Steps(OSError(), OSError(), OSError(), None, OSError(), backoff_s=(0.1, 1.0))

    assert await steps.attempts() == [0.1, 1.0, 1.0, 0.0, 0.1]


async def test_a_cause_may_have_a_pause_of_its_own_and_pauses_start_again_after_a_step_that_ran_for_long() -> None:
    assert await Steps(MemoryError()).attempts() == [10.0]
    steps = Steps(OSError(), OSError(), OSError(), backoff_s=(0.1, 1.0), lasting_s=(0.0, CALM_S + 1, 0.0))

    assert await steps.attempts() == [0.1, 0.1, 1.0]


async def test_an_error_without_a_cause_ends_the_loop_unless_there_is_a_reason_for_all_others() -> None:
    steps = Steps(RuntimeError(), RuntimeError(), None)

    with pytest.raises(RuntimeError):
        await steps.loop.run(steps.step, steps.stop)
    await steps.loop.run(steps.step, steps.stop, otherwise="broker_unreachable")

    assert steps.logged == ["broker_unreachable", None]


async def test_it_ends_when_it_is_stopped_whatever_pause_is_under_way() -> None:
    steps = Steps(MemoryError(), MemoryError())
    running = asyncio.create_task(steps.loop.run(steps.step, steps.stop))
    await asyncio.sleep(0)
    steps.stop.set()

    await asyncio.wait_for(running, 60)

    assert steps.logged == ["memory_short"]


async def test_a_step_that_runs_for_long_says_itself_that_all_is_well() -> None:
    steps = Steps(OSError())

    await steps.attempts()
    steps.loop.ready()

    assert steps.loop.waiting_for() == ()
    assert steps.logged == ["database_unreachable", None]
