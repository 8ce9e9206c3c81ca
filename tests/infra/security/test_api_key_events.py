"""The history of API keys: every change has its event, in the same transaction, and what was written stays."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from infra.postgres.connection import Connection
from infra.security.api_key_events import KeyEvent, events_of_key, newest_events, write_event
from infra.security.api_key_store import create_key, revoke_key, rotate_key
from infra.security.api_keys import KeyActor, KeyVisibility
from tests.support.services.servers import Database

PEPPER = b"p" * 32
NOW = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
ADA = KeyActor("cli", "ada", "r-1")
ACME = KeyVisibility("acme", livemode=False)


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database.command_url)
    yield connection
    await connection.close()


async def make(connection: Connection, partner_id: str | None = "acme", by: KeyActor = ADA) -> str:
    scopes = frozenset({"keys:manage"})
    _text, record = await create_key(
        connection, pepper=PEPPER, partner_id=partner_id, livemode=False, scopes=scopes, now=NOW, by=by, label="till"
    )
    return record.key_id


def told(event: KeyEvent) -> tuple[str, KeyActor, dict[str, object]]:
    return event.type, event.actor, dict(event.details)


async def test_a_key_tells_how_it_was_made_rotated_and_revoked_and_by_whom(connection: Connection) -> None:
    old = await make(connection)
    _text, new, _old = await rotate_key(
        connection, pepper=PEPPER, key_id=old, overlap=timedelta(hours=1), now=NOW, by=KeyActor("api_key", old, "r-2")
    )
    await revoke_key(connection, key_id=old, now=NOW, by=KeyActor("cli", "eve", "r-3"))

    history = [await events_of_key(connection, key_id, ACME, after=0, rows=10) for key_id in (old, new.key_id)]

    rights = {"label": "till", "scopes": ["keys:manage"], "expires_at": None}
    assert [told(event) for event in history[0]] == [
        ("api_key.created", ADA, rights),
        (
            "api_key.rotated",
            KeyActor("api_key", old, "r-2"),
            {"successor": new.key_id, "expires_at": "2026-11-23T02:02:03.000000Z"},
        ),
        ("api_key.revoked", KeyActor("cli", "eve", "r-3"), {}),
    ]
    assert [told(event) for event in history[1]] == [
        ("api_key.created", KeyActor("api_key", old, "r-2"), rights | {"predecessor": old})
    ]
    assert [event.is_by_owner for event in history[0]] == [False, True, False]


async def test_a_second_revocation_changes_nothing_and_tells_nothing(connection: Connection) -> None:
    key_id = await make(connection)
    for _ in range(2):
        await revoke_key(connection, key_id=key_id, now=NOW, by=ADA)

    types = [event.type for event in await events_of_key(connection, key_id, ACME, after=0, rows=10)]

    assert types == ["api_key.created", "api_key.revoked"]


async def test_a_change_that_is_undone_is_not_told_of(connection: Connection) -> None:
    transaction = connection.transaction()
    await transaction.start()
    key_id = await make(connection)
    await transaction.rollback()

    assert await events_of_key(connection, key_id, ACME, after=0, rows=10) == []
    assert await newest_events(connection, key_id=None, partner_id=None, rows=10) == []


async def test_an_event_is_written_by_a_transaction_or_not_at_all(connection: Connection) -> None:
    key_id = await make(connection)

    with pytest.raises(ValueError, match="transaction"):
        await write_event(connection, key_id, "api_key.revoked", ADA, {})


async def test_the_history_of_others_is_not_within_reach(connection: Connection) -> None:
    theirs = await make(connection, "globex")

    for visibility in (ACME, KeyVisibility("globex", livemode=True), KeyVisibility(None, livemode=True)):
        assert await events_of_key(connection, theirs, visibility, after=0, rows=10) == []
    assert len(await events_of_key(connection, theirs, KeyVisibility(None, livemode=False), after=0, rows=10)) == 1


async def test_a_history_is_read_in_pages(connection: Connection) -> None:
    key_id = await make(connection)
    await revoke_key(connection, key_id=key_id, now=NOW, by=ADA)

    [first] = await events_of_key(connection, key_id, ACME, after=0, rows=1)
    [second] = await events_of_key(connection, key_id, ACME, after=first.number, rows=1)

    assert (first.type, second.type) == ("api_key.created", "api_key.revoked")


async def test_the_last_events_of_all_keys_or_of_one_partner_are_given_in_order(connection: Connection) -> None:
    keys = [await make(connection, partner) for partner in ("acme", "globex", None)]

    newest = await newest_events(connection, key_id=None, partner_id=None, rows=2)
    of_acme = await newest_events(connection, key_id=None, partner_id="acme", rows=9)

    assert [event.key_id for event in newest] == keys[1:]
    assert [event.key_id for event in of_acme] == keys[:1]


FORBIDDEN: dict[str, str] = {
    "change an event": "UPDATE harbor.api_key_events SET actor_id = 'mallory'",
    "remove an event": "DELETE FROM harbor.api_key_events",
    "empty the history": "TRUNCATE harbor.api_key_events",
    "choose the time": "INSERT INTO harbor.api_key_events (key_id, type, actor_type, actor_id, request_id, details, "
    "recorded_at) SELECT key_id, 'api_key.revoked', 'cli', 'x', 'x', '{}', '2020-01-01' FROM harbor.api_keys",
    "choose the number": "INSERT INTO harbor.api_key_events (event_number, key_id, type, actor_type, actor_id, "
    "request_id, details) OVERRIDING SYSTEM VALUE "
    "SELECT 1, key_id, 'api_key.revoked', 'cli', 'x', 'x', '{}' FROM harbor.api_keys",
    "change the table": "ALTER TABLE harbor.api_key_events ADD COLUMN x text",
}  # fmt: skip


@pytest.mark.parametrize("statement", FORBIDDEN.values(), ids=FORBIDDEN)
async def test_the_command_service_may_add_and_read_events_and_nothing_else(
    connection: Connection, statement: str
) -> None:
    await make(connection)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)


@pytest.mark.parametrize("address", [lambda database: database.query_url, lambda database: database.worker_url])
async def test_other_services_do_not_even_read_the_history(
    database: Database, address: Callable[[Database], str]
) -> None:
    other = await asyncpg.connect(address(database))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await other.execute("SELECT FROM harbor.api_key_events")
    finally:
        await other.close()


async def test_a_key_whose_event_cannot_be_written_is_not_made(database: Database, connection: Connection) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("REVOKE INSERT ON harbor.api_key_events FROM harbor_command")
    await admin.execute(
        "REVOKE INSERT (key_id, type, actor_type, actor_id, request_id, details, claim, fingerprint) "
        "ON harbor.api_key_events FROM harbor_command"
    )

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await make(connection)

    assert await admin.fetchval("SELECT count(*) FROM harbor.api_keys") == 0
    await admin.close()
