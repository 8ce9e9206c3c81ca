"""Stock projections of the library on our store: views with tables of their own, and ones that write events.

The library's projection cases need a package we do not have (msgspec, for another part of it); these hold the same.
"""

from collections.abc import Iterator
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg
import pytest
from eventsourcing.application import AggregateNotFoundError, Application, ProcessingEvent
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, DomainEventProtocol, event
from eventsourcing.persistence import IntegrityError, Tracking
from eventsourcing.projection import (
    EventSourcedProjection,
    EventSourcedProjectionRunner,
    Projection,
    ProjectionRunner,
)

from infra.eventsourcing_module import HarborTrackingRecorder
from infra.postgres.connection import Connection
from tests.support.event_store.library_cases import a_factory, module_environment
from tests.support.services import servers
from tests.support.services.servers import Database

WAIT_S = 60.0
COUNTERS = """
CREATE TABLE harbor_read.event_counters (kind text PRIMARY KEY, events integer NOT NULL);
GRANT USAGE ON SCHEMA harbor_read TO harbor_command;
GRANT SELECT, INSERT, UPDATE ON harbor_read.event_counters TO harbor_command;
"""
COUNT = """
INSERT INTO harbor_read.event_counters AS c (kind, events) VALUES ($1, 1)
ON CONFLICT (kind) DO UPDATE SET events = c.events + 1
"""


class Ship(Aggregate):
    @event("Sailed")
    def sail(self) -> None:
        pass


class Ships(Application[UUID]):
    pass


class EventCounters(HarborTrackingRecorder):
    """A materialised view in a table of its own."""

    def count(self, kind: str, tracking: Tracking) -> None:
        async def write(connection: Connection) -> None:
            await connection.execute(COUNT, kind)

        self.record(tracking, write)

    def counted(self) -> dict[str, int]:
        async def read(connection: Connection) -> dict[str, int]:
            rows = await connection.fetch("SELECT kind, events FROM harbor_read.event_counters")
            return {row["kind"]: row["events"] for row in rows}

        return self.database.run(read)


class CountEvents(Projection[EventCounters]):
    name = "counting"

    @singledispatchmethod
    def process_event(self, domain_event: DomainEventProtocol[UUID], tracking: Tracking) -> None:
        self.view.count(type(domain_event).__name__, tracking)


class Logbook(Aggregate):
    def __init__(self, ship_id: UUID) -> None:
        self.ship_id = ship_id
        self.entries = 0

    @classmethod
    def create_id(cls, ship_id: UUID) -> UUID:
        return uuid5(NAMESPACE_URL, str(ship_id))

    @event("Entered")
    def enter(self) -> None:
        self.entries += 1


class Logbooks(EventSourcedProjection[UUID]):
    """Writes events of its own about the events it reads."""

    def policy(self, domain_event: DomainEventProtocol[UUID], processing_event: ProcessingEvent[UUID]) -> None:
        try:
            logbook: Logbook = self.repository.get(Logbook.create_id(domain_event.originator_id))
        except AggregateNotFoundError:
            logbook = Logbook(domain_event.originator_id)
        logbook.enter()
        processing_event.collect_events(logbook)

    def entries(self, ship: Ship) -> int:
        logbook: Logbook = self.repository.get(Logbook.create_id(ship.id))
        return logbook.entries


@pytest.fixture
def variables(database: Database) -> dict[str, str]:
    async def create_table() -> None:
        connection = await asyncpg.connect(database.admin_url)
        await connection.execute(COUNTERS)
        await connection.close()

    servers.run(create_table())
    return module_environment(database.command_url)


@pytest.fixture
def view(variables: dict[str, str]) -> Iterator[EventCounters]:
    with a_factory(variables) as factory:
        made = factory.tracking_recorder(EventCounters)
        assert isinstance(made, EventCounters)
        yield made
        factory.close()


def test_a_view_changes_once_per_event(view: EventCounters) -> None:
    view.count("sailed", Tracking("ships", 1))
    view.count("sailed", Tracking("ships", 3))

    for position in (1, 2, 3):
        with pytest.raises(IntegrityError):
            view.count("sailed", Tracking("ships", position))

    assert view.counted() == {"sailed": 2}
    assert view.max_tracking_id("ships") == 3


def test_a_view_that_fails_leaves_its_tracking_where_it_was(view: EventCounters) -> None:
    async def fail(_connection: Connection) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        view.record(Tracking("ships", 1), fail)

    assert view.max_tracking_id("ships") is None


def test_a_projection_follows_an_application_and_goes_on_where_it_stopped(variables: dict[str, str]) -> None:
    for _ in range(2):
        with ProjectionRunner(
            application_class=Ships, projection_class=CountEvents, view_class=EventCounters, env=variables
        ) as runner:
            ship = Ship()
            ship.sail()
            ship.sail()
            recordings = runner.app.save(ship)
            runner.wait(recordings[-1].notification.id, timeout=WAIT_S)
            counted = runner.projection.view.counted()

    assert counted == {"Created": 2, "Sailed": 4}


def test_a_projection_that_writes_events_has_a_tenant_of_its_own(variables: dict[str, str]) -> None:
    with EventSourcedProjectionRunner(
        application_class=Ships,
        projection_class=Logbooks,
        env=variables | {"LOGBOOKS_HARBOR_TENANT": "logbooks.test"},
    ) as runner:
        ship = Ship()
        ship.sail()
        recordings = runner.app.save(ship)
        runner.wait(recordings[-1].notification.id, timeout=WAIT_S)
        entries = runner.projection.entries(ship)
        topics = {each.topic for each in runner.app.recorder.select_notifications(1, 100)}

    assert entries == 2
    assert len(topics) == 2
