"""A log of the test's own, with a topic of its own."""

import pytest

from tests.support.services.relayed_log import RelayedLog, relayed_log
from tests.support.services.servers import Database, KafkaServer


@pytest.fixture
def log(database: Database, kafka: KafkaServer, topic_prefix: str) -> RelayedLog:
    """Return a log without events, and without a topic yet."""
    return relayed_log(database, kafka, topic_prefix)
