"""Any history of batches: both stores return what a model of thirty lines returns, and store what it says."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from infra.event_store.append_batch import append_batch
from infra.event_store.log_reads import COLUMNS, stored_event
from infra.event_store.memory import MemoryEventStore
from infra.event_store.protocol import (
    AppendCommand,
    Appended,
    AppendOutcome,
    ClaimTaken,
    Duplicate,
    KeyMismatch,
    NewEvent,
    StoredEvent,
    WrongExpectedVersion,
)
from tests.support.event_store.append_commands import OTHER_REQUEST, SAME_REQUEST, a_command, an_event, names
from tests.support.services.servers import Database

T = TypeVar("T")
STREAMS = [UUID(int=number) for number in range(4)]


@dataclass(slots=True)
class Model:
    """The store as plain lists and dictionaries; a log entry is its tenant, stream, version and event."""

    log: list[tuple[str, UUID, int, NewEvent]] = field(default_factory=list)
    types: dict[tuple[str, UUID], str] = field(default_factory=dict)
    keys: dict[tuple[str, str], tuple[bytes, int, bytes, UUID, int, int]] = field(default_factory=dict)
    claims: dict[tuple[str, str], UUID] = field(default_factory=dict)
    batches: list[tuple[int, int, int]] = field(default_factory=list)

    def append_batch(self, commands: Sequence[AppendCommand]) -> list[tuple[object, ...]]:
        """Return what the outcomes must be, without the moment they were recorded at."""
        before = len(self.log)
        outcomes = [self.append(command) for command in commands]
        if len(self.log) > before:
            self.batches.append((before + 1, len(self.log), len(self.log) - before))
        return outcomes

    def append(self, command: AppendCommand) -> tuple[object, ...]:
        """Return what the outcome must be."""
        tenant = command.tenant_id
        known = self.keys.get((tenant, command.key))
        if known:
            return ("duplicate", *known[1:]) if known[0] == command.fingerprint else ("mismatch",)
        stream = self.positions(tenant, command.stream_id)
        if len(stream) != command.expected_version:
            return ("conflict", len(stream))
        if command.claim and self.claims.setdefault((tenant, command.claim), command.stream_id) != command.stream_id:
            return ("claimed", self.claims[tenant, command.claim])
        for event in command.events:
            self.types.setdefault((tenant, command.stream_id), command.stream_type)
            self.log.append((tenant, command.stream_id, len(stream) + 1, event))
            stream.append(len(self.log))
        version, position = len(stream), stream[-1] if stream else 0
        recorded = (command.fingerprint, command.status, command.response, command.stream_id, version, position)
        self.keys[tenant, command.key] = recorded
        return ("appended", version, position)

    def positions(self, tenant: str, stream_id: UUID) -> list[int]:
        """Return the positions of a stream's events."""
        return [position for position, entry in enumerate(self.log, 1) if entry[:2] == (tenant, stream_id)]


def plain(outcome: AppendOutcome) -> tuple[object, ...]:
    """Return an outcome as the model writes it."""
    match outcome:
        case Appended(version, position, _):
            return ("appended", version, position)
        case Duplicate(status, response, stream_id, version, position, _):
            return ("duplicate", status, response, stream_id, version, position)
        case KeyMismatch():
            return ("mismatch",)
        case WrongExpectedVersion(actual):
            return ("conflict", actual)
        case ClaimTaken(stream_id):
            return ("claimed", stream_id)


def one_batch(commands: list[AppendCommand]) -> list[AppendCommand]:
    """Return the commands without those that share a stream, key or claim with one before them."""
    batch: list[AppendCommand] = []
    taken: set[tuple[str, object]] = set()
    for command in commands:
        if taken.isdisjoint(names(command)):
            taken |= names(command)
            batch.append(command)
    return batch


EVENTS = st.builds(
    lambda payload, actor, kind, schema, cause: an_event(payload, actor=actor)._replace(
        type=kind, schema_version=schema, correlation_id=None, causation_id=cause
    ),
    payload=st.binary(max_size=3),
    actor=st.sampled_from("ab"),
    kind=st.sampled_from(["thing.happened", "thing.ended"]),
    schema=st.sampled_from([1, 1, 2]),
    cause=st.sampled_from([None, None, "cause"]),
)
COMMANDS = st.builds(
    lambda kind, **values: a_command(**values)._replace(stream_type=kind),
    kind=st.sampled_from(["thing", "thing", "other"]),
    tenant=st.sampled_from(["a.test", "b.test"]),
    key=st.sampled_from([f"key{number}" for number in range(12)]),
    stream=st.sampled_from(STREAMS),
    expected=st.integers(0, 3),
    events=st.lists(EVENTS, max_size=2),
    claim=st.sampled_from([None, None, "x", "y"]),
    fingerprint=st.sampled_from([SAME_REQUEST, SAME_REQUEST, OTHER_REQUEST]),
    response=st.binary(max_size=3),
    status=st.sampled_from([201, 200, 409]),
)
BATCHES = st.lists(COMMANDS, min_size=1, max_size=7).map(one_batch)
"""Few streams, keys and claims, so that they meet often."""


class EventStoreMachine(RuleBasedStateMachine):
    """Compares the memory store with the model after every batch."""

    runner = asyncio.Runner()

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.store = MemoryEventStore()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run one call."""
        return self.runner.run(work)

    async def append_batch(self, batch: Sequence[AppendCommand]) -> list[AppendOutcome]:
        """Append a batch to the store."""
        return [await self.store.append(command) for command in batch]

    async def log(self) -> Sequence[StoredEvent]:
        """Return all events."""
        return await self.store.read_all(0, 1000)

    @rule(batch=BATCHES)
    def append(self, batch: list[AppendCommand]) -> None:
        outcomes = self.do(self.append_batch(batch))
        assert [plain(outcome) for outcome in outcomes] == self.model.append_batch(batch)

    @invariant()
    def the_log_reads_as_the_model_says(self) -> None:
        log = self.do(self.log())
        assert [event.position for event in log] == list(range(1, len(log) + 1))
        assert [(e.tenant_id, e.stream_id, e.version, new_event(e)) for e in log] == self.model.log


def new_event(stored: StoredEvent) -> NewEvent:
    """Return the event as it was before it was stored."""
    return NewEvent(*(getattr(stored, name) for name in NewEvent._fields))


TestMemoryStoreMachine = EventStoreMachine.TestCase
TestMemoryStoreMachine.settings = settings(max_examples=20, stateful_step_count=20)


def test_postgres_returns_and_stores_for_every_history_what_the_model_says(database: Database) -> None:
    logs = count(1)

    class PostgresMachine(EventStoreMachine):
        """Each history is a transaction, which is rolled back."""

        def __init__(self) -> None:
            super().__init__()
            self.log_id = next(logs)
            self.transaction = connection.transaction()
            self.do(self.transaction.start())

        async def append_batch(self, batch: Sequence[AppendCommand]) -> list[AppendOutcome]:
            """Append a batch to the database."""
            return await append_batch(connection, batch, log_id=self.log_id)

        async def log(self) -> Sequence[StoredEvent]:
            """Return all events."""
            rows = await connection.fetch(f"SELECT {COLUMNS} FROM harbor.events ORDER BY position")
            return [stored_event(row) for row in rows]

        @invariant()
        def the_other_tables_hold_what_the_model_says(self) -> None:
            model = self.model
            positions = {stream: model.positions(*stream) for stream in model.types}
            tables: dict[str, list[tuple[Any, ...]]] = {
                STREAMS_TABLE: [
                    (*stream, self.log_id, kind, len(positions[stream]), positions[stream][0], positions[stream][-1])
                    for stream, kind in model.types.items()
                ],
                BATCHES_TABLE: [(self.log_id, *batch) for batch in model.batches],
                RESPONSES_TABLE: [(*key, *recorded) for key, recorded in model.keys.items()],
                CLAIMS_TABLE: [(*claim, stream) for claim, stream in model.claims.items()],
            }
            for sql, rows in tables.items():
                assert sorted(map(tuple, self.do(connection.fetch(sql)))) == sorted(rows)

        def teardown(self) -> None:
            self.do(self.transaction.rollback())

    connection = EventStoreMachine.runner.run(asyncpg.connect(database.admin_url))
    try:
        run_state_machine_as_test(PostgresMachine, settings=settings(max_examples=40, stateful_step_count=12))
    finally:
        EventStoreMachine.runner.run(connection.close())


STREAMS_TABLE = "SELECT tenant_id, stream_id, log_id, type, version, first_position, last_position FROM harbor.streams"
BATCHES_TABLE = "SELECT log_id, first_position, last_position, count FROM harbor.batches"
RESPONSES_TABLE = """
SELECT tenant_id, key, fingerprint, status, response, stream_id, version, position FROM harbor.recorded_responses
"""
CLAIMS_TABLE = "SELECT tenant_id, claim, stream_id FROM harbor.claims"
