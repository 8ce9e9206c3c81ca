"""A log of the test's own, with a topic of its own, and what a relay of it is connected to."""

from collections.abc import AsyncIterator

import pytest

from infra.relay.run import Ports
from tests.support.services.relayed_log import RelayedLog, relayed_log
from tests.support.services.relaying import relay_ports
from tests.support.services.servers import Database, KafkaServer


@pytest.fixture
def log(database: Database, kafka: KafkaServer, topic_prefix: str) -> RelayedLog:
    """Return a log without events, and without a topic yet."""
    return relayed_log(database, kafka, topic_prefix)


@pytest.fixture
async def ports(database: Database, kafka: KafkaServer, topic_prefix: str) -> AsyncIterator[Ports]:
    """Return the store, the broker and the topic as a relay gets them."""
    async with relay_ports(database, kafka, topic_prefix) as opened:
        yield opened
