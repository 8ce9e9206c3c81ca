"""The history of API keys: every change has its event, in the same transaction, and what was written stays."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from infra.postgres.connection import Connection, DedicatedConnection
from infra.security.api_key_events import KeyEvent, events_of_key, newest_events, write_event
from infra.security.api_key_store import create_key, revoke_key, rotate_key
from infra.security.api_keys import KeyActor, KeyVisibility
from tests.support.services.servers import Database

PEPPER = b"p" * 32
NOW = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
ADA = KeyActor("cli", "ada", "r-1")
ACME = KeyVisibility("acme", livemode=False)


async def make(connection: Connection, partner_id: str | None = "acme", by: KeyActor = ADA) -> str:
    scopes = frozenset({"keys:manage"})
    _text, record = await create_key(
        connection, pepper=PEPPER, partner_id=partner_id, livemode=False, scopes=scopes, now=NOW, by=by, label="till"
    )
    return record.key_id


def content(event: KeyEvent) -> tuple[str, KeyActor, dict[str, object]]:
    return event.type, event.actor, dict(event.details)


async def test_the_history_of_a_key_says_who_made_rotated_and_revoked_it(connection: Connection) -> None:
    old = await make(connection)
    _text, new, _old = await rotate_key(
        connection, pepper=PEPPER, key_id=old, overlap=timedelta(hours=1), now=NOW, by=KeyActor("api_key", old, "r-2")
    )
    for _ in range(2):  # the second changes nothing
        await revoke_key(connection, key_id=old, now=NOW, by=KeyActor("cli", "eve", "r-3"))

    history = [await events_of_key(connection, key_id, ACME, after=0, rows=10) for key_id in (old, new.key_id)]

    rights = {"label": "till", "scopes": ["keys:manage"], "expires_at": None}
    assert [content(event) for event in history[0]] == [
        ("api_key.created", ADA, rights),
        (
            "api_key.rotated",
            KeyActor("api_key", old, "r-2"),
            {"successor": new.key_id, "expires_at": "2026-11-23T02:02:03.000000Z"},
        ),
        ("api_key.revoked", KeyActor("cli", "eve", "r-3"), {}),
    ]
    assert [content(event) for event in history[1]] == [
        ("api_key.created", KeyActor("api_key", old, "r-2"), rights | {"predecessor": old})
    ]
    assert [event.is_by_owner for event in history[0]] == [False, True, False]
    assert [event.actor_label for event in history[0]] == [None, "till", None]


async def test_a_change_that_is_rolled_back_has_no_event(connection: Connection) -> None:
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


async def test_the_history_of_others_is_not_visible(connection: Connection) -> None:
    theirs = await make(connection, "globex")

    for visibility in (ACME, KeyVisibility("globex", livemode=True), KeyVisibility(None, livemode=True)):
        assert await events_of_key(connection, theirs, visibility, after=0, rows=10) == []
    assert len(await events_of_key(connection, theirs, KeyVisibility(None, livemode=False), after=0, rows=10)) == 1


async def test_the_last_events_of_all_keys_or_of_one_partner_are_read_in_order(connection: Connection) -> None:
    keys = [await make(connection, partner) for partner in ("acme", "globex", None)]

    newest = await newest_events(connection, key_id=None, partner_id=None, rows=2)
    of_acme = await newest_events(connection, key_id=None, partner_id="acme", rows=9)
    [created] = await events_of_key(connection, keys[0], ACME, after=0, rows=9)

    assert [event.key_id for event in newest] == keys[1:]
    assert of_acme == [created]
    assert await events_of_key(connection, keys[0], ACME, after=created.number, rows=9) == []


FORBIDDEN = (
    "UPDATE harbor.api_key_events SET actor_id = 'mallory'",
    "DELETE FROM harbor.api_key_events",
    "TRUNCATE harbor.api_key_events",
    # choose the time
    """INSERT INTO harbor.api_key_events (key_id, type, actor_type, actor_id, request_id, details, recorded_at)
    SELECT key_id, 'api_key.revoked', 'cli', 'x', 'x', '{}', '2020-01-01' FROM harbor.api_keys""",
    # choose the number
    """INSERT INTO harbor.api_key_events (event_number, key_id, type, actor_type, actor_id, request_id, details)
    OVERRIDING SYSTEM VALUE SELECT 1, key_id, 'api_key.revoked', 'cli', 'x', 'x', '{}' FROM harbor.api_keys""",
    "ALTER TABLE harbor.api_key_events ADD COLUMN x text",
)


async def test_the_command_service_adds_and_reads_events_and_other_services_do_not_even_read_them(
    database: Database, connection: Connection
) -> None:
    await make(connection)
    for statement in FORBIDDEN:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    for url in (database.query_url, database.worker_url):
        async with asyncpg.create_pool(url, min_size=1, max_size=1) as other:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await other.execute("SELECT FROM harbor.api_key_events")


async def test_a_key_whose_event_cannot_be_written_is_not_made(
    connection: Connection, admin: DedicatedConnection
) -> None:
    await admin.execute("REVOKE INSERT ON harbor.api_key_events FROM harbor_command")
    await admin.execute(
        "REVOKE INSERT (key_id, type, actor_type, actor_id, request_id, details, claim, fingerprint) "
        "ON harbor.api_key_events FROM harbor_command"
    )

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await make(connection)

    assert await admin.fetchval("SELECT count(*) FROM harbor.api_keys") == 0
