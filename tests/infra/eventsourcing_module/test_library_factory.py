"""The factory passes the library's own cases, unchanged; what is wrong with a setting is said in one line."""

import pytest
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactoryError,
    ProcessRecorder,
    TrackingRecorder,
)
from eventsourcing.utils import Environment

from infra.eventsourcing_module import (
    HarborAggregateRecorder,
    HarborApplicationRecorder,
    HarborFactory,
    HarborProcessRecorder,
    HarborTrackingRecorder,
)
from tests.support.event_store.library_cases import OnOurStore, a_factory, module_environment
from tests.support.event_store.library_cases import persistence_cases as cases

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


class AnotherTrackingRecorder(HarborTrackingRecorder):
    pass


class TestFactory(OnOurStore, cases.InfrastructureFactoryTestCase[HarborFactory]):
    def setUp(self) -> None:
        self.env = Environment("TestCase", self.variables)
        super().setUp()

    def expected_factory_class(self) -> type[HarborFactory]:
        return HarborFactory

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        return HarborAggregateRecorder

    def expected_application_recorder_class(self) -> type[ApplicationRecorder]:
        return HarborApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
        return HarborTrackingRecorder

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        return AnotherTrackingRecorder

    def expected_process_recorder_class(self) -> type[ProcessRecorder]:
        return HarborProcessRecorder


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("HARBOR_POSTGRES__POOL_MAX", "0", "HARBOR_POSTGRES__POOL_MAX: Input should be greater than or equal to 1"),
        ("HARBOR_TENANT", "acme", "HARBOR_TENANT: a tenant id is <partner_id>.live or <partner_id>.test"),
        ("HARBOR_CALL_TIMEOUT_S", "soon", "HARBOR_CALL_TIMEOUT_S: not a number of seconds above 0"),
        ("HARBOR_CALL_TIMEOUT_S", "nan", "HARBOR_CALL_TIMEOUT_S: not a number of seconds above 0"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not_repeated(name: str, value: str, complaint: str) -> None:
    with pytest.raises(InfrastructureFactoryError) as raised:
        a_factory(module_environment(NOWHERE) | {name: value})
    assert str(raised.value) == complaint


def test_a_missing_address_is_named() -> None:
    with pytest.raises(InfrastructureFactoryError) as raised:
        a_factory({"PERSISTENCE_MODULE": "infra.eventsourcing_module"})
    assert str(raised.value) == "HARBOR_POSTGRES__URL: Field required"


def test_a_recorder_named_by_a_topic_must_be_one_of_ours() -> None:
    factory = a_factory(
        module_environment(NOWHERE) | {"APPLICATION_RECORDER_TOPIC": "eventsourcing.popo:POPOApplicationRecorder"}
    )
    with pytest.raises(InfrastructureFactoryError):
        factory.application_recorder()


def test_there_are_recorders_for_events_and_snapshots_only() -> None:
    with pytest.raises(InfrastructureFactoryError):
        a_factory(module_environment(NOWHERE)).aggregate_recorder("gossip")
