"""The relay as a process: killed, stopped, and started without a broker."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.kafka.tail import read_offsets
from tests.support.event_store.log_filler import fill_log
from tests.support.services.relaying import PARTITIONS, topic_equals_store, topic_of
from tests.support.services.servers import Database, KafkaServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.server  # real sockets or processes, and deadlines that take their time

CHECKOUT = Path(__file__).resolve().parents[3]


def environment(**settings: str) -> Mapping[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HARBOR_")}
    return inherited | settings


def relay_environment(database: Database, kafka: KafkaServer, topic_prefix: str) -> Mapping[str, str]:
    return environment(
        HARBOR_POSTGRES__URL=database.worker_url,
        HARBOR_KAFKA__BOOTSTRAP_SERVERS=kafka.bootstrap,
        HARBOR_KAFKA__TOPIC_PREFIX=topic_prefix,
        HARBOR_KAFKA__PARTITIONS=str(PARTITIONS),
        HARBOR_RELAY__BATCH="40",
    )


async def start(settings: Mapping[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *(arguments or ("infra.relay",)),
        cwd=CHECKOUT,
        env=dict(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def output_of(process: asyncio.subprocess.Process) -> str:
    output, _ = await process.communicate()
    return output.decode()


async def logged(process: asyncio.subprocess.Process, text: str) -> str:
    """Read the process' output until a line holds `text`; return what was read."""
    if process.stdout is None:
        raise AssertionError("the output is piped")
    log = ""
    async with asyncio.timeout(60):
        while text not in log and (line := await process.stdout.readline()):
            log += line.decode()
    return log


async def test_a_relay_killed_in_mid_stream_loses_and_reorders_nothing(
    database: Database, kafka: KafkaServer, topic_prefix: str
) -> None:
    name, events = topic_of(topic_prefix).name, 2000
    settings = relay_environment(database, kafka, topic_prefix)
    process = await start(settings)
    filling = asyncio.create_task(fill_log(database.command_url, events // 2, "authorize"))

    async def is_under_way() -> bool:
        return await _count(kafka, name) > 0

    await eventually(is_under_way, timeout_s=60)
    process.send_signal(signal.SIGKILL)
    await output_of(process)
    await filling
    process = await start(settings)
    log = await logged(process, '"state":"leading"')  # by then it listens to signals
    arrived = await topic_equals_store(database, kafka, name)
    process.send_signal(signal.SIGTERM)
    log += await output_of(process)
    assert process.returncode == 0, log
    assert events <= len(arrived) < events * 2


async def test_without_a_broker_the_relay_says_so_in_one_line_and_ends() -> None:
    process = await start(environment(HARBOR_POSTGRES__URL="postgresql://nobody@localhost/nothing"))
    output = await output_of(process)
    assert process.returncode == 2
    assert output.startswith("no broker is configured")
    assert output.count("\n") == 1


async def test_a_mistyped_setting_is_logged_at_the_start() -> None:
    process = await start(environment(HARBOR_RELAY__BACH="canary"))
    output = await output_of(process)
    assert '"event":"settings.mistyped"' in output
    assert "HARBOR_RELAY__BACH is not a setting and changes nothing: did you mean HARBOR_RELAY__BATCH?" in output
    assert "canary" not in output


async def test_a_relay_told_to_stop_while_the_broker_is_away_ends_at_once(database: Database) -> None:
    process = await start(
        environment(HARBOR_POSTGRES__URL=database.worker_url, HARBOR_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")
    )
    log = await logged(process, '"state":"waiting"')
    process.send_signal(signal.SIGTERM)
    log += await output_of(process)
    assert process.returncode == 0, log
    assert "process.cut_off" not in log
    assert log.count('"state":"waiting"') == 1


async def _count(kafka: KafkaServer, topic: str) -> int:
    try:
        offsets = await read_offsets(kafka.bootstrap, topic, deadline_s=3.0)
    except TimeoutError:
        return 0  # the relay has not created the topic yet
    return sum(end for _begin, end in offsets.values())
