"""How a server or process is, found by a real round trip to it."""

import asyncio
import os
import signal
from urllib.parse import urlsplit

import psutil

from infra.local.home import Json
from infra.local.states import Asked, everything, state
from tests.support.services.ports import free_port
from tests.support.services.servers import Database, KafkaServer
from tests.support.waiting import eventually


async def answers(_timeout_s: float) -> str:
    return "ready"


async def hangs(_timeout_s: float) -> str:
    await asyncio.Event().wait()
    raise AssertionError


async def test_each_server_is_asked_to_do_something(database: Database, redis_url: str, kafka: KafkaServer) -> None:
    facts = {"postgres": database.admin_url, "redis": redis_url, "kafka": kafka.bootstrap, "processes": {}}

    asked = everything(facts, {})

    assert {name: await state(each, slow_s=60) for name, each in asked.items()} == {
        "postgres": "ready",
        "valkey": "ready",
        "kafka": "ready",
    }


async def test_a_server_that_refuses_is_shown_with_its_reason(database: Database) -> None:
    wrong = urlsplit(database.admin_url)._replace(path="/nowhere").geturl()
    facts: Json = {"postgres": wrong, "redis": f"redis://127.0.0.1:{free_port()}", "kafka": None, "processes": {}}

    asked = everything(facts, {})

    assert await state(asked["postgres"], slow_s=60) == 'refuses: database "nowhere" does not exist'
    assert await state(asked["valkey"]) == "no answer"


async def test_a_slow_answer_says_how_slow_and_none_how_long_it_was_waited_for() -> None:
    assert await state(Asked(answers, os.getpid()), slow_s=0) == "ready, slow: 0.0 s"
    assert await state(Asked(hangs, os.getpid()), live_s=0.01) == "no answer in 0.01 s"


async def test_a_frozen_process_is_not_waited_for() -> None:
    process = await asyncio.create_subprocess_exec("/bin/sleep", "600")
    try:
        process.send_signal(signal.SIGSTOP)
        await eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)

        shown = await state(Asked(hangs, process.pid), live_s=3600)
    finally:
        process.kill()
        await process.wait()

    assert shown == f"frozen (`kill -CONT {process.pid}` lets it go on)"
