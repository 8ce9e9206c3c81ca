"""A key of the stack that was revoked, or will end, is not handed out without a word."""

import asyncio
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from infra import clock
from infra.local.home import CHECKOUT, Home
from infra.local.status import key_warning, status
from infra.security.api_key_store import create_key, revoke_key
from infra.security.api_keys import PARTNER_SCOPES, KeyActor, generate, parse
from tests.support.services.ports import free_port
from tests.support.services.servers import Database

BY = KeyActor("cli", "operator", "request")
NEW_ONE = "`make down`, then `make up` makes another"


async def made(database: Database, *, ends_in: timedelta | None = None, is_revoked: bool = False) -> str:
    """Make a key."""
    now = clock.now()
    connection = await asyncpg.connect(database.admin_url)
    try:
        text, record = await create_key(
            connection,
            pepper=b"p" * 32,
            partner_id="acme",
            livemode=False,
            scopes=PARTNER_SCOPES,
            now=now,
            by=BY,
            expires_at=now + ends_in if ends_in else None,
        )
        if is_revoked:
            await revoke_key(connection, key_id=record.key_id, now=now, by=BY)
    finally:
        await connection.close()
    return text


@pytest.mark.parametrize(
    ("ends_in", "is_revoked", "said"),
    [
        (None, False, ""),
        (None, True, "revoked at "),
        (timedelta(hours=1), False, "expires at "),
        (timedelta(microseconds=1), False, "expired at "),
    ],
)
async def test_what_is_wrong_with_a_key_is_said(
    database: Database, monkeypatch: pytest.MonkeyPatch, ends_in: timedelta | None, said: str, *, is_revoked: bool
) -> None:
    monkeypatch.delenv("HARBOR_HOME", raising=False)
    key = await made(database, ends_in=ends_in, is_revoked=is_revoked)

    told = await key_warning(database.admin_url, key)

    assert told.startswith(said)
    assert told.endswith(NEW_ONE) is bool(said)


async def test_nothing_is_said_of_what_cannot_be_looked_up(database: Database) -> None:
    unknown = generate(livemode=False).text
    nowhere = f"postgresql://postgres:secret@127.0.0.1:{free_port()}/harbor"

    assert [await key_warning(database.admin_url, unknown), await key_warning(database.admin_url, "no key")] == ["", ""]
    assert await key_warning(nowhere, unknown) == ""


async def test_status_and_show_say_it_and_a_script_still_reads_the_key_alone(
    database: Database, tmp_path: Path
) -> None:
    key = await made(database, is_revoked=True)
    nowhere = f"http://127.0.0.1:{free_port()}"
    facts = dict.fromkeys(("command_api", "query_api", "redis"), nowhere) | {
        "postgres": database.admin_url,
        "kafka": None,
        "data_dir": str(tmp_path),
        "api_keys": {"partner_a": key},
        "processes": {},
        "ops": {},
        "logs": {},
    }
    (tmp_path / "stack.json").write_text(json.dumps(facts))

    with Home(tmp_path).held():
        lines = await asyncio.to_thread(status, Home(tmp_path), print)
    shown = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "infra.local", "show", "api_keys.partner_a"],
        cwd=CHECKOUT,
        env={"HARBOR_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert lines[-1].startswith(f"test API key  {key}  (revoked at ")
    assert (shown.returncode, shown.stdout) == (0, f"{key}\n")
    assert shown.stderr.startswith(f"api_keys.partner_a ({parse(key).key_id}): revoked at ")
