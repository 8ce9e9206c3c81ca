"""Any history of batches: both stores answer as a model of thirty lines does, and their logs read as it says."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from pydantic import SecretStr

from infra.event_store.appender import Appender
from infra.event_store.memory import MemoryEventStore
from infra.event_store.postgres import PostgresEventStore
from infra.event_store.protocol import (
    AppendCommand,
    Appended,
    AppendOutcome,
    ClaimTaken,
    Duplicate,
    KeyMismatch,
    WrongExpectedVersion,
)
from infra.postgres.pool import Pool, open_pool
from infra.settings import PostgresSettings
from tests.support.event_store.append_channels import ScriptedChannel
from tests.support.event_store.append_commands import OTHER_REQUEST, SAME_REQUEST, a_command
from tests.support.event_store.contract import BatchEventStore
from tests.support.services.servers import Database

T = TypeVar("T")
STREAMS = [UUID(int=number) for number in range(4)]


@dataclass(slots=True)
class Model:
    """The log as plain lists and dictionaries, one (stream, version, event id) per position."""

    log: list[tuple[str, UUID, int, UUID]] = field(default_factory=list)
    keys: dict[tuple[str, str], tuple[bytes, int, bytes, UUID, int, int]] = field(default_factory=dict)
    claims: dict[tuple[str, str], UUID] = field(default_factory=dict)

    def append(self, command: AppendCommand) -> tuple[object, ...]:
        """Return what the outcome must be, without the moment it was recorded at."""
        tenant = command.tenant_id
        known = self.keys.get((tenant, command.key))
        if known:
            return ("duplicate", *known[1:]) if known[0] == command.fingerprint else ("mismatch",)
        stream = [place for place, entry in enumerate(self.log, 1) if entry[:2] == (tenant, command.stream_id)]
        if len(stream) != command.expected_version:
            return ("conflict", len(stream))
        if command.claim and self.claims.setdefault((tenant, command.claim), command.stream_id) != command.stream_id:
            return ("claimed", self.claims[tenant, command.claim])
        for event in command.events:
            self.log.append((tenant, command.stream_id, len(stream) + 1, event.event_id))
            stream.append(len(self.log))
        version, position = len(stream), stream[-1] if stream else 0
        answer = (command.fingerprint, command.status, command.response, command.stream_id, version, position)
        self.keys[tenant, command.key] = answer
        return ("appended", version, position)


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


def share_nothing(commands: list[AppendCommand]) -> bool:
    """Return whether the commands may travel in one batch."""
    names: list[tuple[str, object]] = []
    for command in commands:
        claim = [("claim " + command.tenant_id, command.claim)] if command.claim else []
        names += [("stream " + command.tenant_id, command.stream_id), ("key " + command.tenant_id, command.key), *claim]
    return len(names) == len(set(names))


def batches(run: str) -> st.SearchStrategy[list[AppendCommand]]:
    """Return batches over few streams, keys and claims, so that they meet often; `run` keeps machines apart."""
    commands = st.builds(
        a_command,
        tenant=st.sampled_from([f"a{run}.test", f"b{run}.test"]),
        key=st.sampled_from([f"key{number}" for number in range(12)]),
        stream=st.sampled_from(STREAMS),
        expected=st.integers(0, 3),
        events=st.integers(0, 2),
        claim=st.sampled_from([None, None, "x", "y"]),
        fingerprint=st.sampled_from([SAME_REQUEST, SAME_REQUEST, OTHER_REQUEST]),
        response=st.binary(max_size=3),
        status=st.sampled_from([201, 200, 409]),
    )
    return st.lists(commands, min_size=1, max_size=6).filter(share_nothing)


class EventStoreMachine(RuleBasedStateMachine):
    """Compares the memory store with the model after every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.runner = asyncio.Runner()
        self.tenants = ""

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run one call of the store."""
        return self.runner.run(work)

    @initialize()
    def open(self) -> None:
        self.store: BatchEventStore = MemoryEventStore()

    @rule(data=st.data())
    def append(self, data: st.DataObject) -> None:
        batch = data.draw(batches(self.tenants))
        assert [plain(outcome) for outcome in self.do(self.store.append_batch(batch))] == [
            self.model.append(command) for command in batch
        ]

    @invariant()
    def log_reads_as_the_model_says(self) -> None:
        if not hasattr(self, "store"):
            return
        assert self.do(self.store.head()) == len(self.model.log)
        log = self.do(self.store.read_all(0, 1000))
        assert [(e.tenant_id, e.stream_id, e.version, e.event_id) for e in log] == self.model.log
        assert [event.position for event in log] == list(range(1, len(log) + 1))

    @rule(tenant=st.sampled_from("ab"), stream=st.sampled_from(STREAMS))
    def stream_reads_as_the_model_says(self, tenant: str, stream: UUID) -> None:
        name = f"{tenant}{self.tenants}.test"
        read = self.do(self.store.read_stream(name, stream))
        assert [event.event_id for event in read] == [
            entry[3] for entry in self.model.log if entry[:2] == (name, stream)
        ]

    def teardown(self) -> None:
        self.runner.close()


TestMemoryStoreMachine = EventStoreMachine.TestCase
TestMemoryStoreMachine.settings = settings(max_examples=40, stateful_step_count=25)


def test_postgres_answers_every_history_as_the_model_does(database: Database) -> None:
    logs = count(1)

    class PostgresMachine(EventStoreMachine):
        """Each history has a log and tenants of its own in one database."""

        pool: Pool

        @initialize()
        def open(self) -> None:
            log_id = next(logs)
            self.tenants = str(log_id)
            postgres = PostgresSettings(url=SecretStr(database.command_url), pool_max=1)
            self.pool = self.do(open_pool(postgres, application_name="machine"))
            self.store = PostgresEventStore(self.pool, Appender(ScriptedChannel()), log_id=log_id)

        def teardown(self) -> None:
            if hasattr(self, "pool"):
                self.do(self.pool.close())
            super().teardown()

    run_state_machine_as_test(PostgresMachine, settings=settings(max_examples=40, stateful_step_count=15))


@pytest.mark.parametrize("events", [0, 1])
def test_the_model_itself_refuses_what_it_must(events: int) -> None:
    model = Model()
    first, second = a_command(key="k", claim="x", events=events), a_command(claim="x")

    assert model.append(first) == ("appended", events, events)
    assert model.append(first)[0] == "duplicate"
    assert model.append(second) == ("claimed", first.stream_id)
