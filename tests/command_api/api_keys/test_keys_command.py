"""`python -m command_api keys`: what an operator types and what happens."""

import asyncio
import os
import pwd

import asyncpg
import pytest
from click.testing import CliRunner, Result

from command_api.__main__ import main
from infra.security.api_keys import parse
from tests.support.orders.builders import order_body
from tests.support.services.command_service import PEPPER, postgres_service
from tests.support.services.servers import Database


async def run(database: Database, *words: str) -> Result:
    """Run a command in a thread: it has an event loop of its own."""
    environment = {
        "HARBOR_POSTGRES__URL": database.command_url,
        "HARBOR_SECURITY__API_KEY_PEPPER": PEPPER,
        "HARBOR_SECURITY__CURSOR_SECRET": "c" * 32,
        "HARBOR_SECURITY__WEBHOOK_SECRETS_KEY": "unused",
    }
    return await asyncio.to_thread(CliRunner().invoke, main, words, env=environment)


async def create(database: Database, *words: str) -> str:
    made = await run(database, "keys", "create", "--partner", "acme", "--mode", "test", *words)
    assert made.exit_code == 0, made.output
    return made.stdout.strip()


async def status(database: Database, key: str) -> int:
    async with postgres_service(database, key) as service:
        return (await service.post(body=order_body())).status_code


async def test_a_created_key_opens_what_its_scopes_say(database: Database) -> None:
    writer = await create(database, "--scope", "orders:write")
    reader = await create(database, "--scope", "orders:read")

    assert [await status(database, key) for key in (writer, reader)] == [201, 403]


async def test_a_third_live_key_is_refused_in_one_line(database: Database) -> None:
    for _ in range(2):
        await create(database)

    third = await run(database, "keys", "create", "--partner", "acme", "--mode", "test")

    assert third.exit_code == 1
    assert third.output == (
        "Error: The partner has two live keys in this mode; a new one, or a successor, would be the third. "
        "Revoke one first: python -m command_api keys list --partner acme lists them, "
        "python -m command_api keys revoke KEY_ID revokes one.\n"
    )


async def test_a_third_key_is_refused_in_the_same_words_over_http_and_to_operators(database: Database) -> None:
    first, _second = [await create(database) for _ in range(2)]

    by_command = [
        await run(database, "keys", "create", "--partner", "acme", "--mode", "test"),
        await run(database, "keys", "rotate", parse(first).key_id),
    ]
    async with postgres_service(database, first) as service:
        over_http = await service.post("/api/v1/api-keys", {"label": "third", "scopes": ["orders:read"]})

    detail = over_http.json()["detail"]
    for refused in by_command:
        said = refused.output.replace("python -m command_api keys list --partner acme", "GET /api/v1/api-keys")
        said = said.replace("python -m command_api keys revoke KEY_ID", "POST /api/v1/api-keys/{id}/revoke")
        assert said == f"Error: {detail}\n"


async def test_a_rotated_key_has_a_successor_and_both_work_during_the_overlap(database: Database) -> None:
    old = await create(database)

    rotated = await run(database, "keys", "rotate", parse(old).key_id, "--overlap-minutes", "5")

    new = rotated.stdout.strip()
    assert new != old
    assert [await status(database, key) for key in (old, new)] == [201, 201]


async def test_a_revoked_key_opens_nothing_and_is_listed_as_revoked(database: Database) -> None:
    key = await create(database, "--label", "till 7")

    revoked = await run(database, "keys", "revoke", parse(key).key_id)
    listed = await run(database, "keys", "list", "--partner", "acme")

    assert revoked.exit_code == 0
    assert await status(database, key) == 401
    assert listed.output.splitlines()[0].split() == ["key", "state", "partner", "mode", "used", "scopes", "label"]
    assert listed.output.splitlines()[1].index("test") == listed.output.index("mode")
    assert "revoked" in listed.output
    assert "till 7" in listed.output
    assert key not in listed.output


async def test_the_history_tells_who_did_what_and_never_shows_a_key(database: Database) -> None:
    key = await create(database, "--label", "till 7", "--scope", "orders:write")
    key_id = parse(key).key_id
    rotated = await run(database, "keys", "rotate", key_id)
    await run(database, "keys", "revoke", key_id)

    audit = await run(database, "keys", "audit", "--key", key_id)
    of_others = await run(database, "keys", "audit", "--partner", "globex")

    me = pwd.getpwuid(os.getuid()).pw_name
    lines = audit.output.splitlines()
    assert [line.split()[1] for line in lines] == ["api_key.created", "api_key.rotated", "api_key.revoked"]
    assert all(f"acme test  by cli:{me}  request " in line for line in lines)
    assert "label=till 7 scopes=['orders:write']" in lines[0]
    assert f"successor={parse(rotated.stdout.strip()).key_id}" in lines[1]
    assert key not in audit.output
    assert of_others.output == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(("--partner", "ACME Corp"), "Error: a partner is 1 to 63 of", id="partner"),
        pytest.param(("--partner", "acme", "--label", "x" * 101), "Error: a label has at most 100", id="long label"),
        pytest.param(("--partner", "acme", "--label", "\x1b[2J"), "Error: a label has at most 100", id="control code"),
    ],
)
async def test_a_malformed_owner_or_label_is_told_in_one_line(
    database: Database, words: tuple[str, ...], told: str
) -> None:
    refused = await run(database, "keys", "create", "--mode", "test", *words)

    assert refused.exit_code == 1
    assert refused.output.startswith(told)
    assert refused.output.count("\n") == 1


async def test_what_postgresql_refuses_is_told_without_the_row(database: Database) -> None:
    admin = await asyncpg.connect(database.admin_url)
    await admin.execute("ALTER TABLE harbor.api_keys ADD CONSTRAINT nothing CHECK (partner_id <> 'acme')")
    await admin.close()

    refused = await run(database, "keys", "create", "--partner", "acme", "--mode", "test", "--label", "CANARY")

    assert refused.exit_code == 1
    assert 'violates check constraint "nothing"' in refused.output
    assert "CANARY" not in refused.output
    assert "DETAIL" not in refused.output


async def test_a_wrong_scope_or_an_unknown_key_is_told_in_one_line(database: Database) -> None:
    scope = await run(database, "keys", "create", "--partner", "acme", "--mode", "live", "--scope", "orders:eat")
    unknown = await run(database, "keys", "revoke", "00000000")

    assert scope.exit_code == unknown.exit_code == 1
    assert "orders:eat" in scope.output
    assert unknown.output == "Error: there is no key 00000000\n"


def test_a_missing_setting_is_named_and_the_help_has_an_example() -> None:
    missing = CliRunner().invoke(main, ["keys", "list"], env={"HARBOR_POSTGRES__URL": None})
    helped = CliRunner().invoke(main, ["keys", "create", "--help"])

    assert missing.exit_code == 1
    assert "HARBOR_POSTGRES__URL" in missing.output
    assert "Example: python -m command_api keys create" in helped.output
