"""What our module guarantees beyond the library's cases: order, conflicts, tenants apart, orders safe."""

from uuid import uuid4

import asyncpg
import pytest
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    ProcessRecorder,
    ProgrammingError,
    StoredEvent,
    Tracking,
)

from infra.eventsourcing_module import HarborApplicationRecorder, HarborFactory
from infra.eventsourcing_module.appending import prepare, runs, send
from tests.infra.eventsourcing_module.conftest import Open
from tests.support.event_store.library_cases import a_thing, recorder_of
from tests.support.event_store.log_filler import fill_log
from tests.support.services.servers import Database


class TestAppending:
    def test_the_log_keeps_the_order_in_which_aggregates_take_turns(self, recorder: HarborApplicationRecorder) -> None:
        one, other = uuid4(), uuid4()
        turns = [a_thing(one, 1), a_thing(other, 1), a_thing(other, 2), a_thing(one, 2), a_thing(other, 3)]

        assert recorder.insert_events(turns) == [1, 2, 3, 4, 5]
        assert [(each.originator_id, each.originator_version) for each in recorder.select_notifications(1, 10)] == [
            (each.originator_id, each.originator_version) for each in turns
        ]

    def test_a_conflict_of_one_aggregate_leaves_nothing_of_the_others(
        self, recorder: HarborApplicationRecorder
    ) -> None:
        one, other, third = uuid4(), uuid4(), uuid4()
        recorder.insert_events([a_thing(other, 1)])

        with pytest.raises(IntegrityError):
            recorder.insert_events([a_thing(one, 1), a_thing(other, 1), a_thing(third, 1), a_thing(one, 2)])

        assert recorder.max_notification_id() == 1
        assert recorder.insert_events([a_thing(one, 1)]) == [2]

    @pytest.mark.parametrize("first", [0, 1])
    def test_a_stream_starts_at_zero_or_one_and_continues_without_a_gap(
        self, recorder: HarborApplicationRecorder, first: int
    ) -> None:
        stream = uuid4()
        with pytest.raises(IntegrityError):
            recorder.insert_events([a_thing(stream, 2)])
        recorder.insert_events([a_thing(stream, first), a_thing(stream, first + 1)])
        for gap_or_repetition in (-1, first - 1, first, first + 1, first + 3):
            with pytest.raises(IntegrityError):
                recorder.insert_events([a_thing(stream, gap_or_repetition)])
        recorder.insert_events([a_thing(stream, first + 2)])

        versions = [each.originator_version for each in recorder.select_events(stream)]
        assert versions == [first, first + 1, first + 2]
        assert [each.originator_version for each in recorder.select_notifications(1, 10)] == versions
        assert [each.originator_version for each in recorder.select_events(stream, gt=first, lte=first + 1)] == [
            first + 1
        ]

    async def test_an_order_can_be_read_but_never_appended_to(
        self, recorder: HarborApplicationRecorder, database: Database
    ) -> None:
        [order_id] = await fill_log(database.command_url, 1, "authorize")

        assert [each.topic for each in recorder.select_events(order_id)] == ["order.created", "order.authorized"]
        for version in (1, 2, 3):
            with pytest.raises(ProgrammingError):
                recorder.insert_events([a_thing(order_id, version)])
        with pytest.raises(IntegrityError):
            recorder.insert_events([a_thing(order_id, 0)])
        assert recorder.max_notification_id() == 2

    @pytest.mark.parametrize("versions", [(1, 1), (1, 3), (2, 1), (-1, 0)])
    def test_versions_that_do_not_follow_one_another_are_a_conflict(self, versions: tuple[int, int]) -> None:
        stream = uuid4()
        with pytest.raises(IntegrityError):
            runs([a_thing(stream, version) for version in versions])

    async def test_what_is_sent_again_after_a_lost_outcome_has_the_same_positions(self, database: Database) -> None:
        connection = await asyncpg.connect(database.command_url)
        one, other = uuid4(), uuid4()
        insertion = await prepare(connection, "acme.test", [a_thing(one, 0), a_thing(other), a_thing(one, 1)])
        sent: list[list[int]] = []
        for _ in range(2):
            async with connection.transaction():
                sent.append(await send(connection, insertion))

        assert sent == [[1, 2, 3]] * 2
        assert await connection.fetchval("SELECT count(*) FROM harbor.events") == 3
        await connection.close()

    def test_what_the_store_cannot_hold_is_a_data_error(self, recorder: HarborApplicationRecorder) -> None:
        for unfit in (
            a_thing(topic="nul\0"),
            a_thing(topic="\ud800"),
            a_thing(state=bytes(1_000_001)),
            StoredEvent(originator_id="a-name", originator_version=1, topic="thing", state=b""),
        ):
            with pytest.raises(DataError):
                recorder.insert_events([unfit])
        assert recorder.max_notification_id() is None

    def test_only_a_process_recorder_takes_tracking(self, recorder: HarborApplicationRecorder) -> None:
        with pytest.raises(ProgrammingError):
            recorder.insert_events([a_thing()], tracking=Tracking("upstream", 1))

    def test_events_of_a_notification_that_was_processed_are_not_written_again(self, factory: HarborFactory) -> None:
        processor: ProcessRecorder = factory.process_recorder()
        processor.insert_events([a_thing()], tracking=Tracking("upstream", 1))
        with pytest.raises(IntegrityError):
            processor.insert_events([a_thing(), a_thing()], tracking=Tracking("upstream", 1))
        assert processor.max_notification_id() == 1


class TestTenants:
    def test_a_tenant_sees_its_own_events_and_an_auditor_all(
        self, open_factory: Open, recorder: HarborApplicationRecorder, auditor: HarborApplicationRecorder
    ) -> None:
        other = recorder_of(open_factory(tenant_id="globex.test"))
        ours, theirs = uuid4(), uuid4()
        recorder.insert_events([a_thing(ours, 1)])
        other.insert_events([a_thing(theirs, 1), a_thing(theirs, 2)])
        recorder.insert_events([a_thing(ours, 2)])

        assert [each.id for each in recorder.select_notifications(None, 10)] == [1, 4]
        assert [each.id for each in other.select_notifications(None, 10)] == [2, 3]
        assert [each.id for each in auditor.select_notifications(None, 10)] == [1, 2, 3, 4]
        assert [each.max_notification_id() for each in (recorder, other, auditor)] == [4, 3, 4]
        assert recorder.select_events(theirs) == []
        assert len(auditor.select_events(theirs)) == 2

    def test_an_id_that_two_tenants_use_is_not_mixed(
        self, open_factory: Open, recorder: HarborApplicationRecorder, auditor: HarborApplicationRecorder
    ) -> None:
        stream = uuid4()
        recorder.insert_events([a_thing(stream, 1)])
        recorder_of(open_factory(tenant_id="globex.test")).insert_events([a_thing(stream, 0)])

        assert [each.originator_version for each in recorder.select_events(stream)] == [1]
        with pytest.raises(ProgrammingError):
            auditor.select_events(stream)

    def test_without_a_tenant_nothing_is_written(self, open_factory: Open) -> None:
        everybody = open_factory(tenant_id=None)
        with pytest.raises(ProgrammingError):
            everybody.application_recorder().insert_events([a_thing()])
        with pytest.raises(ProgrammingError):
            everybody.aggregate_recorder("snapshots")

    def test_a_login_that_may_only_read_writes_nothing(self, open_factory: Open, database: Database) -> None:
        reader = open_factory(database.query_url)
        with pytest.raises(ProgrammingError):
            reader.application_recorder().insert_events([a_thing()])
        with pytest.raises(ProgrammingError):
            reader.tracking_recorder().insert_tracking(Tracking("upstream", 1))
        with pytest.raises(ProgrammingError):
            reader.aggregate_recorder("snapshots").insert_events([a_thing()])

    def test_a_superuser_is_refused(self, open_factory: Open, database: Database) -> None:
        with pytest.raises(ProgrammingError, match="superuser"):
            open_factory(database.admin_url).application_recorder().max_notification_id()

    def test_consumers_of_different_names_are_tracked_apart(self, open_factory: Open, database: Database) -> None:
        one, other = (
            open_factory(database.worker_url, name, tenant_id=None).tracking_recorder() for name in ("Revenue", "Stock")
        )
        one.insert_tracking(Tracking("Orders", 7))
        assert one.max_tracking_id("Orders") == 7
        assert other.max_tracking_id("Orders") is None
