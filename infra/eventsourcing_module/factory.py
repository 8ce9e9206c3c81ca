"""The one factory of the module: it reads the settings and makes recorders that share a pool."""

from typing import TypeVar

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    InfrastructureFactoryError,
    ProcessRecorder,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic

from infra.eventsourcing_module.database import Database
from infra.eventsourcing_module.recorders import (
    HarborAggregateRecorder,
    HarborApplicationRecorder,
    HarborProcessRecorder,
)
from infra.eventsourcing_module.settings import read_settings
from infra.eventsourcing_module.snapshots import HarborSnapshotRecorder
from infra.eventsourcing_module.tracking import HarborTrackingRecorder

T = TypeVar("T")
_EVENTS, _SNAPSHOTS = "events", "snapshots"


class HarborFactory(InfrastructureFactory[HarborTrackingRecorder]):
    """Infrastructure of one application or projection of the library, on the event store.

    Connects with the first call of a recorder; `close`, or becoming garbage, ends its connections and its thread.
    """

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        self._database = Database(read_settings(self.env))

    def aggregate_recorder(self, purpose: str = _EVENTS) -> AggregateRecorder:
        """Return a recorder of streams ("events") or of snapshots ("snapshots")."""
        if purpose == _SNAPSHOTS:
            return HarborSnapshotRecorder(self._database)
        if purpose == _EVENTS:
            return HarborAggregateRecorder(self._database)
        raise InfrastructureFactoryError(f"no recorder for {purpose!r}: there are {_EVENTS} and {_SNAPSHOTS}")

    def application_recorder(self) -> ApplicationRecorder:
        """Return a recorder of streams and the log; APPLICATION_RECORDER_TOPIC may name a subclass."""
        return self._chosen(self.APPLICATION_RECORDER_TOPIC, HarborApplicationRecorder)(self._database)

    def tracking_recorder(
        self, tracking_recorder_class: type[HarborTrackingRecorder] | None = None
    ) -> HarborTrackingRecorder:
        """Return a tracking recorder of the given class, of the one TRACKING_RECORDER_TOPIC names, or the plain one."""
        chosen = tracking_recorder_class or self._chosen(self.TRACKING_RECORDER_TOPIC, HarborTrackingRecorder)
        return chosen(self._database)

    def process_recorder(self) -> ProcessRecorder:
        """Return a recorder of streams, the log and tracking; PROCESS_RECORDER_TOPIC may name a subclass."""
        return self._chosen(self.PROCESS_RECORDER_TOPIC, HarborProcessRecorder)(self._database)

    def close(self) -> None:
        """Cancel what is under way, close all connections and end the thread."""
        self._database.close()

    def _chosen(self, variable: str, default: type[T]) -> type[T]:
        topic = self.env.get(variable)
        if not topic:
            return default
        named: object = resolve_topic(topic)
        if isinstance(named, type) and issubclass(named, default):
            return named
        raise InfrastructureFactoryError(f"{variable}: {topic} is not a {default.__name__}")
