"""What our module promises beyond the library's cases: tenants apart, orders safe, nothing lost, nothing left open."""

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import UUID, uuid4

import asyncpg
import pytest
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProcessRecorder,
    ProgrammingError,
    StoredEvent,
    Tracking,
)

from infra.eventsourcing_module import HarborApplicationRecorder, HarborFactory
from infra.eventsourcing_module.loop_thread import LoopThread
from tests.support.event_store.library_cases import a_factory, module_environment
from tests.support.event_store.log_filler import fill_log
from tests.support.services import servers
from tests.support.services.servers import Database, PostgresCluster
from tests.support.waiting import eventually

WAIT_S = 60.0


def an_event(stream: UUID, version: int, topic: str = "thing", state: bytes = b"{}") -> StoredEvent:
    return StoredEvent(originator_id=stream, originator_version=version, topic=topic, state=state)


def recorder_of(factory: HarborFactory) -> HarborApplicationRecorder:
    recorder = factory.application_recorder()
    assert isinstance(recorder, HarborApplicationRecorder)
    return recorder


@pytest.fixture
def factory(database: Database) -> Iterator[HarborFactory]:
    made = a_factory(module_environment(database.command_url))
    yield made
    made.close()


@pytest.fixture
def recorder(factory: HarborFactory) -> HarborApplicationRecorder:
    return recorder_of(factory)


@pytest.fixture
def auditor(database: Database) -> Iterator[HarborApplicationRecorder]:
    made = a_factory(module_environment(database.query_url, tenant_id=None))
    yield recorder_of(made)
    made.close()


class TestAppending:
    def test_the_log_keeps_the_order_in_which_aggregates_take_turns(self, recorder: HarborApplicationRecorder) -> None:
        one, other = uuid4(), uuid4()
        turns = [an_event(one, 1), an_event(other, 1), an_event(other, 2), an_event(one, 2), an_event(other, 3)]

        assert recorder.insert_events(turns) == [1, 2, 3, 4, 5]
        assert [(each.originator_id, each.originator_version) for each in recorder.select_notifications(1, 10)] == [
            (each.originator_id, each.originator_version) for each in turns
        ]

    def test_a_conflict_of_one_aggregate_leaves_nothing_of_the_others(
        self, recorder: HarborApplicationRecorder
    ) -> None:
        one, other, third = uuid4(), uuid4(), uuid4()
        recorder.insert_events([an_event(other, 1)])

        with pytest.raises(IntegrityError):
            recorder.insert_events([an_event(one, 1), an_event(other, 1), an_event(third, 1), an_event(one, 2)])

        assert recorder.max_notification_id() == 1
        assert recorder.insert_events([an_event(one, 1)]) == [2]

    @pytest.mark.parametrize("first", [0, 1])
    def test_a_stream_starts_at_zero_or_one_and_goes_on_without_a_gap(
        self, recorder: HarborApplicationRecorder, first: int
    ) -> None:
        stream = uuid4()
        recorder.insert_events([an_event(stream, first), an_event(stream, first + 1)])
        for gap_or_repetition in (-1, first - 1, first, first + 1, first + 3):
            with pytest.raises(IntegrityError):
                recorder.insert_events([an_event(stream, gap_or_repetition)])
        recorder.insert_events([an_event(stream, first + 2)])

        versions = [each.originator_version for each in recorder.select_events(stream)]
        assert versions == [first, first + 1, first + 2]
        assert [each.originator_version for each in recorder.select_notifications(1, 10)] == versions
        assert [each.originator_version for each in recorder.select_events(stream, gt=first, lte=first + 1)] == [
            first + 1
        ]

    def test_a_stream_does_not_start_later(self, recorder: HarborApplicationRecorder) -> None:
        with pytest.raises(IntegrityError):
            recorder.insert_events([an_event(uuid4(), 2)])

    async def test_an_order_can_be_read_but_never_appended_to(
        self, recorder: HarborApplicationRecorder, database: Database
    ) -> None:
        [order_id] = await fill_log(database.command_url, 1, "authorize")

        assert [each.topic for each in recorder.select_events(order_id)] == ["order.created", "order.authorized"]
        for version in (1, 2, 3):
            with pytest.raises(ProgrammingError):
                recorder.insert_events([an_event(order_id, version)])
        with pytest.raises(IntegrityError):
            recorder.insert_events([an_event(order_id, 0)])
        assert recorder.max_notification_id() == 2

    def test_what_the_store_cannot_hold_is_a_data_error(self, recorder: HarborApplicationRecorder) -> None:
        for unfit in (
            an_event(uuid4(), 1, topic="nul\0"),
            an_event(uuid4(), 1, topic="\ud800"),
            an_event(uuid4(), 1, state=bytes(1_000_001)),
            StoredEvent(originator_id="a-name", originator_version=1, topic="thing", state=b""),
        ):
            with pytest.raises(DataError):
                recorder.insert_events([unfit])
        assert recorder.max_notification_id() is None

    def test_only_a_process_recorder_takes_tracking(self, recorder: HarborApplicationRecorder) -> None:
        with pytest.raises(ProgrammingError):
            recorder.insert_events([an_event(uuid4(), 1)], tracking=Tracking("upstream", 1))

    def test_events_of_a_notification_that_was_processed_are_not_written_again(self, factory: HarborFactory) -> None:
        processor: ProcessRecorder = factory.process_recorder()
        processor.insert_events([an_event(uuid4(), 1)], tracking=Tracking("upstream", 1))
        with pytest.raises(IntegrityError):
            processor.insert_events([an_event(uuid4(), 1), an_event(uuid4(), 1)], tracking=Tracking("upstream", 1))
        assert processor.max_notification_id() == 1


class TestTenants:
    def test_a_tenant_sees_its_own_events_and_an_auditor_all(
        self, database: Database, recorder: HarborApplicationRecorder, auditor: HarborApplicationRecorder
    ) -> None:
        other_factory = a_factory(module_environment(database.command_url, tenant_id="globex.test"))
        other = recorder_of(other_factory)
        ours, theirs = uuid4(), uuid4()
        recorder.insert_events([an_event(ours, 1)])
        other.insert_events([an_event(theirs, 1), an_event(theirs, 2)])
        recorder.insert_events([an_event(ours, 2)])

        assert [each.id for each in recorder.select_notifications(None, 10)] == [1, 4]
        assert [each.id for each in other.select_notifications(None, 10)] == [2, 3]
        assert [each.id for each in auditor.select_notifications(None, 10)] == [1, 2, 3, 4]
        assert [each.max_notification_id() for each in (recorder, other, auditor)] == [4, 3, 4]
        assert recorder.select_events(theirs) == []
        assert len(auditor.select_events(theirs)) == 2
        other_factory.close()

    def test_an_id_that_two_tenants_use_is_not_mixed(
        self, database: Database, recorder: HarborApplicationRecorder, auditor: HarborApplicationRecorder
    ) -> None:
        other_factory = a_factory(module_environment(database.command_url, tenant_id="globex.test"))
        stream = uuid4()
        recorder.insert_events([an_event(stream, 1)])
        recorder_of(other_factory).insert_events([an_event(stream, 0)])

        assert [each.originator_version for each in recorder.select_events(stream)] == [1]
        with pytest.raises(ProgrammingError):
            auditor.select_events(stream)
        other_factory.close()

    def test_without_a_tenant_nothing_is_written(self, database: Database) -> None:
        everybody = a_factory(module_environment(database.command_url, tenant_id=None))
        with pytest.raises(ProgrammingError):
            everybody.application_recorder().insert_events([an_event(uuid4(), 1)])
        with pytest.raises(ProgrammingError):
            everybody.aggregate_recorder("snapshots")
        everybody.close()

    def test_a_login_that_may_only_read_writes_nothing(self, database: Database) -> None:
        reader = a_factory(module_environment(database.query_url))
        with pytest.raises(ProgrammingError):
            reader.application_recorder().insert_events([an_event(uuid4(), 1)])
        with pytest.raises(ProgrammingError):
            reader.tracking_recorder().insert_tracking(Tracking("upstream", 1))
        with pytest.raises(ProgrammingError):
            reader.aggregate_recorder("snapshots").insert_events([an_event(uuid4(), 1)])
        reader.close()

    def test_a_superuser_is_refused(self, database: Database) -> None:
        administrator = a_factory(module_environment(database.admin_url))
        with pytest.raises(ProgrammingError, match="superuser"):
            administrator.application_recorder().max_notification_id()
        administrator.close()

    def test_consumers_of_different_names_are_tracked_apart(self, database: Database) -> None:
        variables = module_environment(database.worker_url, tenant_id=None)
        one, other = a_factory(variables, "Revenue"), a_factory(variables, "Stock")
        one.tracking_recorder().insert_tracking(Tracking("Orders", 7))
        assert one.tracking_recorder().max_tracking_id("Orders") == 7
        assert other.tracking_recorder().max_tracking_id("Orders") is None
        one.close()
        other.close()


class TestSubscribing:
    def test_a_waiting_subscription_wakes_up_for_each_append(self, recorder: HarborApplicationRecorder) -> None:
        with recorder.subscribe() as subscription, ThreadPoolExecutor(1) as pool:
            for position in (1, 2, 3):
                waiting = pool.submit(next, subscription)
                recorder.insert_events([an_event(uuid4(), 1)])
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
            recorder.insert_events([an_event(uuid4(), 1)])
            assert next(subscription).id == 1
            waiting = pool.submit(next, subscription)
            disconnect_all(postgres_cluster, database)
            recorder.insert_events([an_event(uuid4(), 1)])
            assert waiting.result(WAIT_S).id == 2

    def test_a_rare_topic_is_found_far_behind_the_start(self, recorder: HarborApplicationRecorder) -> None:
        stream = uuid4()
        recorder.insert_events([an_event(stream, version) for version in range(20_500)])
        recorder.insert_events([an_event(uuid4(), 1, topic="rare")])

        assert [each.id for each in recorder.select_notifications(1, 5, topics=["rare"])] == [20_501]
        assert recorder.select_notifications(1, 5, 20_500, topics=["rare"]) == []
        with recorder.subscribe(topics=["rare"]) as subscription:
            assert next(subscription).id == 20_501


class TestLosingTheServer:
    def test_connections_that_died_while_idle_are_replaced(
        self, recorder: HarborApplicationRecorder, postgres_cluster: PostgresCluster, database: Database
    ) -> None:
        recorder.insert_events([an_event(uuid4(), 1)])
        disconnect_all(postgres_cluster, database)
        assert recorder.insert_events([an_event(uuid4(), 1), an_event(uuid4(), 1)]) == [2, 3]

    def test_every_insert_happens_once_while_connections_are_killed(
        self, recorder: HarborApplicationRecorder, postgres_cluster: PostgresCluster, database: Database
    ) -> None:
        """A lost answer is settled by the keys; a caller is told only when it was lost as often as it was tried."""
        acknowledgements = threading.Semaphore(0)
        done = threading.Event()

        def insert(_number: int) -> UUID | None:
            stream = uuid4()
            with suppress(OperationalError):
                recorder.insert_events([an_event(stream, 1), an_event(stream, 2)])
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
                acknowledged = {stream for stream in pool.map(insert, range(300)) if stream is not None}
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
        assert len(acknowledged) > 100

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
    def test_a_closed_factory_says_so(self, factory: HarborFactory, recorder: HarborApplicationRecorder) -> None:
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
