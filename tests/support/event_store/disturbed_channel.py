"""An append channel over PostgreSQL, some of whose transactions dawdle, roll back, or end before or after a commit."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import assert_never

from infra.event_store.append_batch import append_batch
from infra.event_store.append_channel import NotNowError, OutcomeUnknownError, PostgresAppendChannel
from infra.event_store.protocol import AppendCommand, AppendOutcome
from infra.postgres.connection import DedicatedConnection
from infra.postgres.failures import ANY_DATABASE_ERROR

LONGEST_HOLD_S = 0.01
HOLD = "SELECT pg_sleep($1)"


class Disturbance(Enum):
    """What becomes of a transaction that has called `harbor.append_batch` and held the log for a moment."""

    SLOW = "slow"
    ROLLED_BACK = "rolled-back"
    CUT = "cut"
    ANSWER_LOST = "answer-lost"
    """Committed, and then the connection ends: the one case in which only the keys tell what was written."""


class DisturbedChannel:
    """`AppendChannel` that disturbs a share of the batches; the others go through the real channel.

    A batch that was rolled back or cut off is sent again by the appender, with the same keys and the same events.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[DedicatedConnection]], share: float, chance: random.Random
    ) -> None:
        self.counts: Counter[Disturbance] = Counter()
        self._connect = connect
        self._share = share
        self._chance = chance
        self._calm = PostgresAppendChannel(connect)
        self._disturbed: DedicatedConnection | None = None

    async def send(self, commands: Sequence[AppendCommand]) -> list[AppendOutcome]:
        """Append the batch, or something worse; see `AppendChannel.send`."""
        if self._chance.random() >= self._share:
            return await self._calm.send(commands)
        try:
            return await self._disturb(self._chance.choice(list(Disturbance)), commands)
        except ANY_DATABASE_ERROR as error:
            self._cut()
            raise OutcomeUnknownError(str(error)) from error

    async def probe(self) -> None:
        """Ask undisturbed."""
        await self._calm.probe()

    async def close(self) -> None:
        """Let go of both connections."""
        self._cut()
        await self._calm.close()

    async def _disturb(self, disturbance: Disturbance, commands: Sequence[AppendCommand]) -> list[AppendOutcome]:
        if self._disturbed is None or self._disturbed.is_closed():
            self._disturbed = await self._connect()
        transaction = self._disturbed.transaction()
        await transaction.start()
        outcomes = await append_batch(self._disturbed, commands)
        await self._disturbed.execute(HOLD, self._chance.uniform(0, LONGEST_HOLD_S))
        self.counts[disturbance] += 1
        match disturbance:
            case Disturbance.SLOW:
                await transaction.commit()
                return outcomes
            case Disturbance.ROLLED_BACK:
                await transaction.rollback()
                raise NotNowError(disturbance.value)
            case Disturbance.CUT:
                self._cut()
                raise OutcomeUnknownError(disturbance.value)
            case Disturbance.ANSWER_LOST:
                await transaction.commit()
                self._cut()
                raise OutcomeUnknownError(disturbance.value)
            case _:
                assert_never(disturbance)

    def _cut(self) -> None:
        if self._disturbed is not None:
            self._disturbed.terminate()
            self._disturbed = None
