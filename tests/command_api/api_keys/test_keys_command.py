"""`python -m command_api keys`: what an operator types and what happens."""

import asyncio
import os
import pwd

from click.testing import CliRunner, Result

from command_api.__main__ import main
from infra.security.api_keys import MAX_LIVE_KEYS, MAX_OVERLAPPING_KEYS, parse
from tests.support.orders.builders import order_body
from tests.support.services.command_service import PEPPER, partner_key, postgres_service
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


async def statuses(database: Database, *keys: str) -> list[int]:
    """Return what a new order with each key gets."""
    async with postgres_service(database, keys[0]) as service:
        answers = [await service.post(body=order_body(), Authorization=f"Bearer {key}") for key in keys]
    return [answer.status_code for answer in answers]


async def test_a_created_key_opens_what_its_scopes_say(database: Database) -> None:
    writer = await create(database, "--scope", "orders:write")
    reader = await create(database, "--scope", "orders:read")

    assert await statuses(database, writer, reader) == [201, 403]


async def test_one_key_too_many_is_refused_in_the_same_words_over_http_and_to_operators(database: Database) -> None:
    keys = [await partner_key(database) for _ in range(MAX_LIVE_KEYS)]

    by_command = await run(database, "keys", "create", "--partner", "acme", "--mode", "test")
    rotated = await run(database, "keys", "rotate", parse(keys[0]).key_id)
    async with postgres_service(database, keys[0]) as service:
        over_http = await service.post("/api/v1/api-keys", {"scopes": ["orders:read"]})

    assert by_command.output == (
        "Error: The partner has 20 live keys in this mode, and no more fit; to replace one, rotate it. "
        "Otherwise revoke one first: python -m command_api keys list --partner acme lists them, "
        "python -m command_api keys revoke KEY_ID revokes one.\n"
    )
    said = by_command.output.replace("python -m command_api keys list --partner acme", "GET /api/v1/api-keys")
    said = said.replace("python -m command_api keys revoke KEY_ID", "POST /api/v1/api-keys/{id}/revoke")
    assert said == f"Error: {over_http.json()['detail']}\n"
    assert rotated.exit_code == 0, rotated.output


async def test_one_overlap_too_many_is_refused_with_what_to_type_instead(database: Database) -> None:
    rotated = [parse(await partner_key(database)).key_id for _ in range(MAX_OVERLAPPING_KEYS)]
    await database.fetch("UPDATE harbor.api_keys SET overlap_ends_at = '2100-01-03'")
    sooner = "UPDATE harbor.api_keys SET expires_at = '2100-01-01' WHERE key_id = $1"
    await database.fetch(sooner, rotated[3])
    key_id = parse(await partner_key(database)).key_id

    refused = await run(database, "keys", "rotate", key_id)
    at_once = await run(database, "keys", "rotate", key_id, "--overlap-minutes", "0")

    assert refused.exit_code == 1
    assert refused.output == (
        "Error: The partner has 20 keys in this mode that were rotated and still work. "
        f"The first to end is {rotated[3]}, at 2100-01-01T00:00:00.000000Z. Wait until then, rotate without an overlap "
        "(--overlap-minutes 0), or revoke one of them first (python -m command_api keys revoke KEY_ID).\n"
    )
    assert at_once.exit_code == 0, at_once.output


async def test_a_rotated_key_has_a_successor_and_both_work_during_the_overlap(database: Database) -> None:
    old = await create(database)

    rotated = await run(database, "keys", "rotate", parse(old).key_id, "--overlap-minutes", "5")

    new = rotated.stdout.strip()
    assert new != old
    assert await statuses(database, old, new) == [201, 201]


async def test_a_revoked_key_opens_nothing_and_is_listed_as_revoked(database: Database) -> None:
    key = await create(database, "--label", "till 7")

    revoked = await run(database, "keys", "revoke", parse(key).key_id)
    listed = await run(database, "keys", "list", "--partner", "acme")

    assert revoked.exit_code == 0
    assert await statuses(database, key) == [401]
    assert listed.output.splitlines()[0].split() == [
        "key",
        "state",
        "partner",
        "mode",
        "used",
        "ends",
        "scopes",
        "label",
    ]
    assert listed.output.splitlines()[1].index("test") == listed.output.index("mode")
    assert "revoked" in listed.output
    assert "till 7" in listed.output
    assert key not in listed.output


async def test_the_history_shows_who_did_what_and_never_a_key(database: Database) -> None:
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
    assert "label='till 7' scopes=['orders:write']" in lines[0]
    assert f"successor={parse(rotated.stdout.strip()).key_id}" in lines[1]
    assert key not in audit.output
    assert of_others.output == ""


async def test_what_an_operator_mistyped_is_said_in_one_line(database: Database) -> None:
    create_live = ("create", "--mode", "live")
    for words, said in (
        ((*create_live, "--partner", "ACME Corp"), "a partner is 1 to 63 of"),
        ((*create_live, "--partner", "acme", "--label", "x" * 101), "--label: The text must have at most 100"),
        ((*create_live, "--partner", "acme", "--label", "\x1b[2J"), "--label: The text holds U+001B at index 0"),
        ((*create_live, "--partner", "acme", "--scope", "orders:eat"), "orders:eat"),
        (("revoke", "00000000"), "there is no key 00000000\n"),
    ):
        refused = await run(database, "keys", *words)

        assert (refused.exit_code, refused.output.count("\n")) == (1, 1), words
        assert refused.output.startswith("Error: ")
        assert said in refused.output


async def test_an_error_of_postgresql_is_shown_without_the_row(database: Database) -> None:
    await database.fetch("ALTER TABLE harbor.api_keys ADD CONSTRAINT nothing CHECK (partner_id <> 'acme')")

    refused = await run(database, "keys", "create", "--partner", "acme", "--mode", "test", "--label", "CANARY")

    assert refused.exit_code == 1
    assert 'violates check constraint "nothing"' in refused.output
    assert "CANARY" not in refused.output
    assert "DETAIL" not in refused.output


def test_a_missing_setting_is_named_and_the_help_has_an_example() -> None:
    missing = CliRunner().invoke(main, ["keys", "list"], env={"HARBOR_POSTGRES__URL": None})
    helped = CliRunner().invoke(main, ["keys", "create", "--help"])

    assert missing.exit_code == 1
    assert "HARBOR_POSTGRES__URL" in missing.output
    assert "Example: python -m command_api keys create" in helped.output
