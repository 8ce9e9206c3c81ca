"""`harbor.append_batch` beside the function it follows: same outcomes, same rows, and both at once on one log."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.clock import new_id
from infra.event_store.append_batch import Connection, append_batch
from infra.event_store.protocol import AppendCommand, Appended, AppendOutcome, Duplicate
from infra.postgres.pool import Pool
from tests.support.event_store.append_0002 import append_0002
from tests.support.event_store.append_commands import A_MOMENT, OTHER_REQUEST, SAME_REQUEST, a_command, an_event
from tests.support.services.servers import Database, run

Append = Callable[[Connection, Sequence[AppendCommand]], Awaitable[list[AppendOutcome]]]
TABLES = {
    "events": "position",
    "streams": "stream_id, tenant_id",
    "batches": "last_position",
    "commands": "key, tenant_id",
    "claims": "tenant_id, claim",
}
IDS = [new_id() for _ in range(4)]
TENANTS = ("acme.test", "other.test")
EVENTS = st.builds(
    lambda payload, actor, name: an_event(payload, actor=actor)._replace(type=name),
    payload=st.binary(max_size=3),
    actor=st.sampled_from(["a", "b"]),
    name=st.sampled_from(["thing.happened", "thing.ended"]),
)
COMMANDS = st.builds(
    lambda kind, **of: a_command(**of)._replace(stream_type=kind),
    kind=st.sampled_from(["thing", "other"]),
    tenant=st.sampled_from(TENANTS),
    key=st.sampled_from(["k1", "k2", "k3", "k4", "k5"]),
    stream=st.sampled_from(IDS),
    expected=st.sampled_from([0, 0, 1, 2]),
    events=st.lists(EVENTS, min_size=0, max_size=3),
    claim=st.sampled_from([None, None, "c1", "c2"]),
    fingerprint=st.sampled_from([SAME_REQUEST, SAME_REQUEST, OTHER_REQUEST]),
    status=st.sampled_from([200, 201]),
)


def names_nothing_twice(commands: Sequence[AppendCommand]) -> bool:
    """Return whether a batch keeps the rule that every caller keeps."""
    named: list[list[tuple[str, object]]] = [
        [(each.tenant_id, each.key) for each in commands],
        [(each.tenant_id, each.stream_id) for each in commands],
        [(each.tenant_id, each.claim) for each in commands if each.claim is not None],
    ]
    return all(len(set(names)) == len(names) for names in named)


BATCHES = st.lists(COMMANDS, min_size=1, max_size=5).filter(names_nothing_twice)


async def written_by(
    append: Append, connection: Connection, batches: Sequence[Sequence[AppendCommand]]
) -> list[object]:
    """Return every outcome and then every row, but for the time; nothing stays."""
    transaction = connection.transaction()
    await transaction.start()
    seen: list[object] = []
    for batch in batches:
        outcomes = await append(connection, batch)
        seen += [
            each._replace(recorded_at=A_MOMENT) if isinstance(each, Appended | Duplicate) else each for each in outcomes
        ]
    for table, order in TABLES.items():
        rows = await connection.fetch(f"SELECT * FROM harbor.{table} ORDER BY {order}")
        seen += [{key: value for key, value in row.items() if not key.endswith("ed_at")} for row in rows]
    await transaction.rollback()
    return seen


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(batches=st.lists(BATCHES, min_size=1, max_size=4))
def test_it_gives_the_same_outcomes_and_writes_the_same_rows(
    database: Database, batches: list[list[AppendCommand]]
) -> None:
    async def both() -> tuple[list[object], list[object]]:
        connection = await asyncpg.connect(database.admin_url)
        try:
            return (
                await written_by(append_0002, connection, batches),
                await written_by(append_batch, connection, batches),
            )
        finally:
            await connection.close()

    before, after = run(both())
    assert after == before


async def test_processes_of_both_releases_share_one_log(command_pool: Pool) -> None:
    commands = [a_command() for _ in range(40)]

    async def send(append: Append, own: Sequence[AppendCommand]) -> list[AppendOutcome]:
        async with command_pool.acquire() as connection:
            return [outcome for each in own for outcome in await append(connection, [each])]

    halves = await asyncio.gather(send(append_0002, commands[::2]), send(append_batch, commands[1::2]))
    again = await asyncio.gather(send(append_batch, commands[::2]), send(append_0002, commands[1::2]))

    outcomes = [outcome for half in halves for outcome in half]
    assert sorted(each.position for each in outcomes if isinstance(each, Appended)) == list(range(1, 41))
    assert all(isinstance(each, Duplicate) for half in again for each in half)


@pytest.mark.parametrize("append", [append_0002, append_batch])
async def test_neither_writes_a_key_twice(command_pool: Pool, append: Append) -> None:
    first = a_command()
    async with command_pool.acquire() as connection:
        with pytest.raises(asyncpg.UniqueViolationError):
            await append(connection, [first, a_command(key=first.key)])

        assert await connection.fetchval("SELECT count(*) FROM harbor.commands") == 0
