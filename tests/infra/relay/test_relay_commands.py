"""`python -m infra.relay verify` and `refill`: a store restored from an old copy, with a topic that is ahead of it."""

import asyncio
import errno
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import click
import pytest

from infra.local.home import CHECKOUT
from infra.relay.commands import _new_file
from tests.support.services.projecting import caught_up, differences, kafka_worker
from tests.support.services.relayed_log import RelayedLog, relayed_log
from tests.support.services.relaying import PARTITIONS, topic_records
from tests.support.services.servers import Database, KafkaServer, PostgresCluster
from tests.support.services.system import clean_environment
from tests.support.waiting import eventually


@pytest.fixture
async def restored(
    postgres_cluster: PostgresCluster, database: Database, kafka: KafkaServer, topic_prefix: str
) -> AsyncIterator[RelayedLog]:
    """Return a log restored from a copy that was made before the topic got its last 30 events."""
    log = relayed_log(database, kafka, topic_prefix)
    await log.fill(20, "authorize")
    async with log.relay(), kafka_worker(database, kafka, topic_prefix):
        await caught_up(database)
    copy = await postgres_cluster.copy_database(database)
    await log.fill(30)
    async with log.relay():
        await log.is_published()
    yield relayed_log(copy, kafka, topic_prefix)
    await postgres_cluster.drop_database(copy.name)


async def run(log: RelayedLog, *arguments: str) -> tuple[int | None, str]:
    """Run a command of the relay to its end; return its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.relay", *arguments),
        cwd=CHECKOUT,
        env=clean_environment()
        | {
            "HARBOR_POSTGRES__URL": log.database.worker_url,
            "HARBOR_KAFKA__BOOTSTRAP_SERVERS": log.kafka.bootstrap,
            "HARBOR_KAFKA__TOPIC_PREFIX": log.topic.name.removesuffix("orders.events.v1"),
            "HARBOR_KAFKA__PARTITIONS": str(PARTITIONS),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.mark.timeout(300)
async def test_after_an_old_copy_was_restored_refill_makes_topic_and_read_models_equal_to_it(
    restored: RelayedLog, topic_prefix: str, tmp_path: Path
) -> None:
    log, saved = restored, tmp_path / "ahead.jsonl"
    async with log.relay() as running, kafka_worker(log.database, log.kafka, topic_prefix):
        # given the alarm, and orders that are taken meanwhile
        await eventually(lambda: running.relay.waiting_for() == ("topic_ahead_of_store",))
        await log.fill(10)

        # when the operator does not say what becomes of the records that only the topic has, nothing happens
        status, output = await run(log, "refill", "--yes")
        assert (status, "30 records whose event the store does not hold" in output) == (1, True), output
        assert "--save FILE" in output
        # nor without a yes
        status, output = await run(log, "refill", "--save", str(saved))
        assert (status, "Nothing was deleted" in output) == (0, True), output
        assert len(await topic_records(log.kafka, log.topic.name)) == 70

        saved.unlink()
        status, output = await run(log, "refill", "--save", str(saved), "--yes")
        assert (status, "deleted 70 records, 30 of them are in" in output) == (0, True), output

        # then everything is whole without another step
        await log.is_published()
        await eventually(lambda: running.relay.waiting_for() == ())
        await caught_up(log.database)
        status, output = await run(log, "verify")
        assert (status, "the topic is whole" in output) == (0, True), output
    assert await differences(log.database) == []
    positions = [int(json.loads(line)["headers"]["position"]) for line in saved.read_text().splitlines()]
    assert sorted(positions) == list(range(41, 71))
    assert saved.stat().st_mode & 0o777 == 0o600


def test_saved_records_are_on_the_disk_before_anything_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced = tmp_path / "saved.jsonl", []

    def note(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_ino, path.read_text()))

    monkeypatch.setattr(os, "fsync", note)
    with _new_file(path) as file:
        file.write("the last trace")
    assert synced == [(each.stat().st_ino, "the last trace") for each in (path, tmp_path)]


def test_a_disk_that_is_full_stops_a_refill_before_anything_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(click.ClickException, match="Nothing was deleted"), _new_file(tmp_path / "file"):
        pass


async def test_what_is_in_the_way_is_one_line(log: RelayedLog, tmp_path: Path) -> None:
    away = replace(log, kafka=replace(log.kafka, bootstrap="127.0.0.1:1"))
    (tmp_path / "there").touch()
    outputs = await asyncio.gather(run(away, "verify"), run(log, "refill", "--save", str(tmp_path / "there")))
    assert outputs[0][0] == outputs[1][0] == 1
    assert outputs[0][1].startswith("Error: the broker does not serve")
    assert "cannot be written as a new file" in outputs[1][1]
