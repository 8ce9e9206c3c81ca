"""Whether the broker still answers a consumer, and where its partitions end: asked every few seconds, beside the polls.

aiokafka tries again for ever and returns nothing meanwhile, so a broker that is dead or frozen looks like a topic
without new records.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from infra.clock import monotonic_s

ASK_EVERY_S: Final = 5.0
"""A broker that falls silent is noticed after twice this time at the latest."""


class BrokerSilentError(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """The broker does not answer."""


class BrokerWatch:
    """Asks for the ends of some partitions, one question at a time, each with a deadline of `ask_every_s` seconds."""

    def __init__(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], ask_every_s: float) -> None:
        self._consumer = consumer
        self._places = list(places)
        self._ask_every_s = ask_every_s
        self._next_s = monotonic_s()
        self._asking: asyncio.Task[dict[int, int]] | None = None
        self._is_silent = False

    def ends(self) -> Mapping[int, int] | None:
        """Return the offset after the last record of each partition when an answer is new, else None; never waits.

        Raises:
            BrokerSilentError: there was no answer in time, and none has come since.
        """
        ends: Mapping[int, int] | None = None
        if self._asking is not None and self._asking.done():
            asked, self._asking = self._asking, None
            try:
                ends, self._is_silent = asked.result(), False
            except (TimeoutError, OSError, KafkaError):
                self._is_silent = True
            self._next_s = monotonic_s() + (0 if self._is_silent else self._ask_every_s)
        if self._asking is None and monotonic_s() >= self._next_s:
            self._asking = asyncio.create_task(self._ask(), name="broker-watch")
        if self._is_silent:
            raise BrokerSilentError(f"the broker has not answered within {self._ask_every_s:g} s")
        return ends

    def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    async def _ask(self) -> dict[int, int]:
        async with asyncio.timeout(self._ask_every_s):
            ends: dict[TopicPartition, int] = await self._consumer.end_offsets(self._places)
        return {place.partition: end for place, end in ends.items()}
