"""The scenario that everything else builds on: from an order to a signed webhook, through real processes."""

from pathlib import Path

import pytest

from tests.demo.journey import travel
from tests.demo.orders import generated
from tests.support.services.servers import Database, KafkaServer
from tests.support.services.system import running_system


async def test_an_order_reaches_the_store_the_topic_the_read_models_and_the_partner(
    database: Database, kafka: KafkaServer, topic_prefix: str, tmp_path: Path
) -> None:
    async with running_system(database, kafka, topic_prefix, tmp_path) as (_system, stack):
        journey = await travel(stack, list(generated(20, seed=3, run="kafka")), 4, "kafka")
    assert journey.anomalies() == []
    assert {row.status for row in journey.history.orders or ()} == {"pending", "authorized", "captured", "canceled"}
    assert journey.history.topic


@pytest.mark.server
async def test_without_a_broker_the_worker_tails_the_store_and_the_same_holds(
    database: Database, tmp_path: Path
) -> None:
    async with running_system(database, None, "", tmp_path) as (_system, stack):
        journey = await travel(stack, list(generated(20, seed=4, run="store")), 4, "store")
    assert journey.anomalies() == []
    assert journey.history.topic is None
