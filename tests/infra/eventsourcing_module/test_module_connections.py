"""Waiting, losing the server and closing: subscriptions wake up, nothing is lost, nothing is left open."""

import asyncio
import gc
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import UUID, uuid4

import asyncpg
import pytest
from eventsourcing.persistence import (
    InterfaceError,
    OperationalError,
)

from infra.eventsourcing_module import HarborApplicationRecorder, HarborFactory
from infra.eventsourcing_module.loop_thread import LoopThread
from tests.support.event_store.library_cases import a_factory, a_thing, module_environment, recorder_of
from tests.support.services import servers
from tests.support.services.servers import Database, PostgresCluster
from tests.support.waiting import eventually

WAIT_S = 60.0


class TestSubscribing:
    def test_a_waiting_subscription_wakes_up_for_each_append(self, recorder: HarborApplicationRecorder) -> None:
        with recorder.subscribe() as subscription, ThreadPoolExecutor(1) as pool:
            for position in (1, 2, 3):
                waiting = pool.submit(next, subscription)
                recorder.insert_events([a_thing()])
                assert waiting.result(WAIT_S).id == position

    def test_stop_ends_a_waiting_subscription(self, recorder: HarborApplicationRecorder) -> None:
        with recorder.subscribe() as subscription, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(list, subscription)
            subscription.stop()
            assert waiting.result(WAIT_S) == []

    def test_closing_the_factory_ends_a_waiting_subscription(
        self, factory: HarborFactory, recorder: HarborApplicationRecorder
    ) -> None:
        with recorder.subscribe() as subscription, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(list, subscription)
            factory.close()
            with pytest.raises(InterfaceError):
                waiting.result(WAIT_S)

    def test_a_subscription_outlives_a_lost_connection(
        self, recorder: HarborApplicationRecorder, postgres_cluster: PostgresCluster, database: Database
    ) -> None:
        with recorder.subscribe() as subscription, ThreadPoolExecutor(1) as pool:
            recorder.insert_events([a_thing()])
            assert next(subscription).id == 1
            waiting = pool.submit(next, subscription)
            disconnect_all(postgres_cluster, database)
            recorder.insert_events([a_thing()])
            assert waiting.result(WAIT_S).id == 2

    def test_a_rare_topic_is_found_far_behind_the_start(self, recorder: HarborApplicationRecorder) -> None:
        stream = uuid4()
        recorder.insert_events([a_thing(stream, version) for version in range(20_500)])
        recorder.insert_events([a_thing(topic="rare")])

        assert [each.id for each in recorder.select_notifications(1, 5, topics=["rare"])] == [20_501]
        assert recorder.select_notifications(1, 5, 20_500, topics=["rare"]) == []
        with recorder.subscribe(topics=["rare"]) as subscription:
            assert next(subscription).id == 20_501


class TestLosingTheServer:
    def test_every_insert_happens_once_while_connections_are_killed(
        self, recorder: HarborApplicationRecorder, postgres_cluster: PostgresCluster, database: Database
    ) -> None:
        """The keys resolve a lost outcome; a caller sees an error only when every try was lost."""
        acknowledgements = threading.Semaphore(0)
        done = threading.Event()

        def insert(_number: int) -> UUID | None:
            stream = uuid4()
            with suppress(OperationalError):
                recorder.insert_events([a_thing(stream, 1), a_thing(stream, 2)])
                acknowledgements.release()
                return stream
            return None

        def kill() -> None:
            while not done.is_set():
                disconnect_all(postgres_cluster, database)
                for _ in range(8):  # get through between two kills, however long it takes
                    acknowledgements.acquire()

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            with ThreadPoolExecutor(4) as pool:
                acknowledged = {stream for stream in pool.map(insert, range(120)) if stream is not None}
        finally:
            done.set()
            acknowledgements.release(8)
            killer.join()

        head = recorder.max_notification_id() or 0
        log = recorder.select_notifications(None, head)
        versions: dict[object, list[int]] = {}
        for each in log:
            versions.setdefault(each.originator_id, []).append(each.originator_version)
        assert [each.id for each in log] == list(range(1, head + 1))
        assert {tuple(each) for each in versions.values()} == {(1, 2)}
        assert acknowledged <= set(versions)
        assert len(acknowledged) > 40

    def test_an_address_where_nobody_answers_is_an_operational_error(self) -> None:
        factory = a_factory(module_environment("postgresql://nobody@127.0.0.1:1/nothing"))
        with pytest.raises(OperationalError):
            factory.application_recorder().max_notification_id()
        factory.close()

    async def test_a_call_ends_at_its_deadline(self, database: Database) -> None:
        factory = a_factory(module_environment(database.command_url) | {"HARBOR_CALL_TIMEOUT_S": "0.5"})
        recorder = factory.application_recorder()
        blocker = await asyncpg.connect(database.admin_url)
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE harbor.batches IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(OperationalError):
                await asyncio.to_thread(recorder.max_notification_id)
        await blocker.close()

        def answers() -> bool:  # half a second may be too little on a slow machine also now
            with suppress(OperationalError):
                return recorder.max_notification_id() is None
            return False

        await eventually(lambda: asyncio.to_thread(answers))
        factory.close()


class TestClosing:
    def test_a_closed_factory_refuses_calls(self, factory: HarborFactory, recorder: HarborApplicationRecorder) -> None:
        recorder.max_notification_id()
        factory.close()
        factory.close()
        with pytest.raises(InterfaceError):
            recorder.max_notification_id()

    def test_no_thread_is_left_when_the_last_recorder_is_garbage(self, database: Database) -> None:
        recorder = recorder_of(a_factory(module_environment(database.command_url)))
        recorder.max_notification_id()
        assert "harbor-eventsourcing" in [thread.name for thread in threading.enumerate()]
        del recorder
        gc.collect()
        assert "harbor-eventsourcing" not in [thread.name for thread in threading.enumerate()]

    def test_a_call_under_way_ends_with_the_loop(self) -> None:
        thread = LoopThread("closing")
        started = threading.Event()

        async def never() -> None:
            started.set()
            await asyncio.Event().wait()

        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(thread.run, never(), 60.0)
            assert started.wait(WAIT_S)
            thread.close()
            with pytest.raises(InterfaceError):
                call.result(WAIT_S)

    def test_a_program_that_closes_nothing_ends(self, database: Database) -> None:
        code = (
            "import os; from infra.eventsourcing_module import HarborFactory;"
            "recorder = HarborFactory(dict(os.environ)).application_recorder(); print(recorder.max_notification_id())"
        )
        ended = subprocess.run(  # noqa: S603  # fixed
            [sys.executable, "-W", "error", "-c", code],
            env=module_environment(database.query_url),
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (ended.stdout, ended.stderr) == ("None\n", "")


def test_no_service_loads_the_library() -> None:
    code = (
        "import sys, command_api.app, query_api.app, infra.relay.run, projections.worker;"
        "print('eventsourcing' in sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603  # fixed
    assert loaded.stdout.strip() == "False"


def disconnect_all(cluster: PostgresCluster, database: Database) -> None:
    """End every connection of the database from the server's side."""
    servers.run(
        cluster.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.name}'")
    )
