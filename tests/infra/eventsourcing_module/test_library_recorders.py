"""The recorders pass the library's own cases, unchanged, on PostgreSQL."""

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    ProcessRecorder,
    TrackingRecorder,
)

from tests.support.event_store.library_cases import OnOurStore
from tests.support.event_store.library_cases import persistence_cases as cases


class TestAggregateRecorder(OnOurStore, cases.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.made_factory().aggregate_recorder()


class TestSnapshotRecorder(OnOurStore, cases.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.made_factory().aggregate_recorder("snapshots")


class TestApplicationRecorder(OnOurStore, cases.ApplicationRecorderTestCase[ApplicationRecorder]):
    def create_recorder(self) -> ApplicationRecorder:
        return self.made_factory().application_recorder()

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestNotificationIDsDoNotInterleave(OnOurStore, cases.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> ApplicationRecorder:
        return self.made_factory().application_recorder()


class TestTrackingRecorder(OnOurStore, cases.TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        return self.made_factory().tracking_recorder()


class TestProcessRecorder(OnOurStore, cases.ProcessRecorderTestCase):
    def create_recorder(self) -> ProcessRecorder:
        return self.made_factory().process_recorder()
