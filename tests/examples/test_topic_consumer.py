"""examples/topic_consumer.py: every event has its effect once and in order, through kills, repeats and rebalances."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson

from domain.codec import encode
from domain.order.commands import NewLine
from domain.order.event_parts import MAX_LINES, MAX_QUANTITY
from domain.text import MAX_METADATA_KEY_CHARS, MAX_METADATA_VALUE_CHARS, MAX_SKU_CHARS
from infra.event_store.protocol import StoredEvent
from infra.local.home import Home
from infra.local.ports import free_port
from tests.support.event_store.log_filler import fill_log
from tests.support.orders.builders import recorded_history
from tests.support.services.projecting import Topics, log_of, predecessors, writable_topic
from tests.support.services.relayed_log import relayed_log
from tests.support.services.relaying import PARTITIONS, topic_of
from tests.support.services.servers import Database, KafkaServer
from tests.support.waiting import eventually

CONSUMER: Final = Path(__file__).resolve().parents[2] / "examples" / "topic_consumer.py"
Row = tuple[Any, ...]


@asynccontextmanager
async def consumer(kafka: KafkaServer, topic_prefix: str, ledger: Path) -> AsyncIterator[Process]:
    """Run it while the `async with` lasts."""
    words = (
        "--bootstrap",
        kafka.bootstrap,
        "--topic",
        topic_of(topic_prefix).name,
        "--group",
        f"{topic_prefix}revenue",
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CONSUMER), "--database", str(ledger), *words), stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def rows(ledger: Path, statement: str) -> list[Row]:
    """Read something of the ledger; nothing while it does not exist."""
    if not ledger.exists():
        return []
    with closing(sqlite3.connect(ledger, timeout=30)) as connection:
        try:
            return connection.execute(statement).fetchall()
        except sqlite3.OperationalError:
            return []


def names_in(directory: Path) -> list[str]:
    """Return the names of what is in a directory."""
    return [path.name for path in directory.iterdir()]


def taken(ledger: Path) -> int:
    """Return how many events were taken."""
    return int((rows(ledger, "SELECT coalesce(sum(taken), 0) FROM checkpoints") or [(0,)])[0][0])


def expected(log: Iterable[StoredEvent]) -> tuple[list[Row], list[Row]]:
    """Return what a ledger of these events holds: what was earned, and where each order stands."""
    revenue: Counter[str] = Counter()
    stands: dict[str, Row] = {}
    for event in log:
        data = orjson.loads(event.payload)["data"]
        earned = {"order.captured": 1, "order.refunded": -1}.get(event.type, 0)
        revenue[data["currency"]] += earned * data.get("amount_minor", 0)
        stands[str(event.stream_id)] = (str(event.stream_id), event.version, data["to_status"])
    return sorted(revenue.items()), sorted(stands.values())


async def test_every_event_has_its_effect_once_through_a_kill_repeats_and_a_second_consumer(
    database: Database, kafka: KafkaServer, topic_prefix: str, tmp_path: Path
) -> None:
    await fill_log(database.command_url, 100, "authorize", "capture_some", "refund_some", "capture_last")
    log, ledger = await log_of(database), tmp_path / "revenue.sqlite3"
    before, half = predecessors(log), len(log) // 2
    async with writable_topic(kafka, topic_prefix) as topic:
        await topic.relay(log[:half], before)
        async with consumer(kafka, topic_prefix, ledger) as process:
            await eventually(lambda: taken(ledger) > 0)
            process.kill()  # wherever it is
        await topic.relay(log[half // 2 :], before)  # a relay that starts again repeats some
        async with AsyncExitStack() as running:
            processes = [await running.enter_async_context(consumer(kafka, topic_prefix, ledger)) for _ in range(2)]
            await eventually(lambda: taken(ledger) >= len(log), timeout_s=40)
            await topic.relay(log[-50:], before)
            [last] = await fill_log(database.command_url, 1)
            log = await log_of(database)
            await topic.relay(log[-1:], predecessors(log))
            await eventually(lambda: (str(last), 1, "pending") in rows(ledger, "SELECT * FROM orders"), timeout_s=40)
            for process in processes:
                process.send_signal(signal.SIGTERM)
            errors = [(await process.communicate())[1] for process in processes]

    assert taken(ledger) == len(log)
    assert (rows(ledger, "SELECT * FROM revenue"), sorted(rows(ledger, "SELECT * FROM orders"))) == expected(log)
    assert {partition for (partition,) in rows(ledger, "SELECT partition FROM checkpoints")} == set(range(PARTITIONS))
    assert [process.returncode for process in processes] == [0, 0]
    assert errors == [b"", b""], "a rebalance of the group is not worth a line"


async def test_it_goes_on_from_its_ledger_and_begins_again_without_one_whatever_the_group_has_committed(
    database: Database, kafka: KafkaServer, topic_prefix: str, tmp_path: Path
) -> None:
    await fill_log(database.command_url, 20, "authorize", "capture_some")
    log, ledger = await log_of(database), tmp_path / "revenue.sqlite3"
    async with writable_topic(kafka, topic_prefix) as topic:
        await topic.relay(log, predecessors(log))
    for known, is_lost in ((0, False), (len(log), True), (0, False)):
        async with consumer(kafka, topic_prefix, ledger) as process:
            assert process.stdout is not None
            first = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
            await eventually(lambda: taken(ledger) == len(log))
            process.terminate()
            _, errors = await process.communicate()

        name = topic_of(topic_prefix).name
        assert first == f"listening to {name} on {kafka.bootstrap}; {known} events taken before, Ctrl-C ends\n"
        assert (errors, process.returncode) == (b"", 0)
        assert rows(ledger, "SELECT * FROM revenue") == expected(log)[0]
        if is_lost:
            ledger.unlink()


async def test_what_the_topic_has_lost_stops_it_before_it_takes_more(
    database: Database, kafka: KafkaServer, topic_prefix: str, tmp_path: Path
) -> None:
    await fill_log(database.command_url, 1, "authorize", "capture")
    log, ledger = await log_of(database), tmp_path / "revenue.sqlite3"
    async with writable_topic(kafka, topic_prefix) as topic:
        await topic.relay([log[0], log[2]], predecessors(log))
    async with consumer(kafka, topic_prefix, ledger) as process:
        _, errors = await asyncio.wait_for(process.communicate(), 30)

    assert (process.returncode, taken(ledger)) == (1, 1)
    assert errors.decode().startswith("the topic has lost records")
    assert "2 should have come after 1" in errors.decode()


async def test_a_topic_that_was_made_again_is_taken_from_its_beginning(
    database: Database, kafka: KafkaServer, topic_prefix: str, tmp_path: Path
) -> None:
    await fill_log(database.command_url, 1, "authorize", "capture")
    log, ledger = await log_of(database), tmp_path / "revenue.sqlite3"
    # given a consumer that has read three records, two of them the same
    async with writable_topic(kafka, topic_prefix) as topic:
        await topic.relay([log[0], log[0], log[0]], predecessors(log))
        async with consumer(kafka, topic_prefix, ledger):
            await eventually(lambda: taken(ledger) == 1)
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE checkpoints SET next_offset = 2")
    # when the topic at its offset has an event whose predecessor it does not know
    await relayed_log(database, kafka, topic_prefix).make_topic_again()
    async with writable_topic(kafka, topic_prefix) as topic:
        await topic.relay(log, predecessors(log))
    async with consumer(kafka, topic_prefix, ledger):
        await eventually(lambda: taken(ledger) == len(log))
    assert rows(ledger, "SELECT * FROM revenue") == expected(log)[0]


async def test_what_the_relay_did_not_write_is_stepped_over(
    database: Database, kafka: KafkaServer, topic_prefix: str, tmp_path: Path
) -> None:
    await fill_log(database.command_url, 8, "authorize")
    log, ledger = await log_of(database), tmp_path / "revenue.sqlite3"
    async with writable_topic(kafka, topic_prefix) as topic:
        for partition in range(PARTITIONS):
            await _foreign(topic, partition)
        await topic.relay(log, predecessors(log))
    async with consumer(kafka, topic_prefix, ledger) as process:
        await eventually(lambda: taken(ledger) == len(log))
        process.terminate()
        _, errors = await process.communicate()

    assert (process.returncode, errors.count(b"stepped over")) == (0, 5 * PARTITIONS)
    assert sorted(rows(ledger, "SELECT * FROM orders")) == expected(log)[1]


async def test_a_type_of_later_days_is_taken_and_a_new_version_of_what_is_booked_stops_it(
    database: Database, kafka: KafkaServer, topic_prefix: str, tmp_path: Path
) -> None:
    await fill_log(database.command_url, 1, "authorize", "capture", "refund_some")
    log, ledger = await log_of(database), tmp_path / "revenue.sqlite3"
    fact = {"order_id": str(log[0].stream_id), "sequence": 2, "data": {"currency": "EUR"}}
    later = [
        log[0],
        replace(log[1], type="order.teleported", payload=orjson.dumps(fact)),
        log[2],
        replace(log[3], schema_version=99),
    ]
    async with writable_topic(kafka, topic_prefix) as topic:
        await topic.relay(later, predecessors(log))
    async with consumer(kafka, topic_prefix, ledger) as process:
        _, errors = await asyncio.wait_for(process.communicate(), 30)

    assert errors.decode() == (
        "order.refunded comes in schema version 99, which is newer than this program: "
        "update it, and it continues there\n"
    )
    assert (process.returncode, taken(ledger)) == (1, 3)
    assert (rows(ledger, "SELECT * FROM revenue"), rows(ledger, "SELECT * FROM orders")) == expected(log[:3])


async def test_an_order_as_large_as_can_be_is_taken(
    database: Database, kafka: KafkaServer, topic_prefix: str, tmp_path: Path
) -> None:
    lines = tuple(NewLine("X" * MAX_SKU_CHARS, MAX_QUANTITY, 1_000_000) for _ in range(MAX_LINES))
    metadata = {f"{number:0{MAX_METADATA_KEY_CHARS}}": "x" * MAX_METADATA_VALUE_CHARS for number in range(50)}
    recorded = recorded_history("authorize", "capture", lines=lines, metadata=metadata)
    await fill_log(database.command_url, 1)
    [row] = await log_of(database)
    log = [
        replace(row, position=number, stream_id=each.envelope.order_id, version=number, type=each.event.type,
                schema_version=each.event.schema_version, payload=encode(*each))
        for number, each in enumerate(recorded, start=1)
    ]  # fmt: skip
    ledger = tmp_path / "revenue.sqlite3"
    async with writable_topic(kafka, topic_prefix) as topic:
        await topic.relay(log, predecessors(log))
    async with consumer(kafka, topic_prefix, ledger) as process:
        await eventually(lambda: taken(ledger) == len(log))
        process.terminate()
        _, errors = await process.communicate()

    assert errors == b""
    assert rows(ledger, "SELECT * FROM revenue") == [("EUR", MAX_LINES * MAX_QUANTITY * 1_000_000)]


async def _foreign(topic: Topics, partition: int) -> None:
    await topic.put_raw(partition, b"k", b"{}")
    await topic.put_raw(partition, b"k", None, [("position", b"1")])
    await topic.put_raw(partition, b"k", b"{}", [("position", b"99"), ("ce_type", b"order.captured")])
    await topic.put_raw(partition, b"k", b"{}", [("position", b"1" + b"0" * 30), ("ce_type", b"order.captured")])
    odd = b'{"order_id": {"an": "object"}, "sequence": 1, "data": {"to_status": "pending"}}'
    await topic.put_raw(partition, b"k", odd, [("position", b"99"), ("ce_type", b"order.created")])


async def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CONSUMER)), cwd=tmp_path, env=os.environ | {"HARBOR_HOME": str(tmp_path)}, stderr=PIPE
    )
    _, errors = await process.communicate()

    assert errors.decode() == f"nothing runs in {tmp_path}; start it with: HARBOR_HOME={tmp_path} make up DETACH=1\n"
    assert names_in(tmp_path) == [], "a start that fails leaves no file behind"


async def test_without_a_broker_it_says_so_in_one_line(tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CONSUMER), "--database", str(tmp_path / "revenue.sqlite3"), "--bootstrap", nowhere),
        stderr=PIPE,
    )
    _, errors = await process.communicate()

    assert (process.returncode, errors.decode().splitlines()[-1]) == (1, f"there is no broker at {nowhere}")
    assert names_in(tmp_path) == []


async def test_what_is_no_database_is_said_in_one_line_and_stays_as_it_is(
    kafka: KafkaServer, topic_prefix: str, tmp_path: Path
) -> None:
    ledger = tmp_path / "notes.txt"
    ledger.write_text("this is no database at all")
    async with writable_topic(kafka, topic_prefix), consumer(kafka, topic_prefix, ledger) as process:
        _, errors = await asyncio.wait_for(process.communicate(), 30)

    assert (process.returncode, errors.decode()) == (
        1,
        f"{ledger} cannot be used (file is not a database): choose another file with --database\n",
    )
    assert ledger.read_text() == "this is no database at all"


async def test_its_file_is_kept_in_the_home_of_the_stack_and_deleted_with_its_log(
    kafka: KafkaServer, topic_prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "stack.json").write_text(json.dumps({"kafka": kafka.bootstrap}))
    ledger = tmp_path / "examples" / "revenue.sqlite3"
    async with writable_topic(kafka, topic_prefix):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(CONSUMER), "--topic", topic_of(topic_prefix).name, "--group", topic_prefix),
            env=os.environ | {"HARBOR_HOME": str(tmp_path)},
            stdout=PIPE,
        )
        assert process.stdout is not None
        first = await asyncio.wait_for(process.stdout.readline(), 30)
        process.terminate()
        await process.communicate()

    assert b"listening" in first
    assert ledger.exists()
    assert tmp_path in Home(tmp_path).wipe()
    assert not ledger.exists()
