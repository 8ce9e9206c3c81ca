"""`python -m command_api keys`: create, list, rotate, revoke and audit API keys, by the settings of the service."""

import asyncio
import os
import pwd
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar

import click

from domain import text
from domain.errors import TextError
from infra import clock
from infra.postgres.advice import advice
from infra.postgres.connection import DedicatedConnection
from infra.postgres.failures import ANY_DATABASE_ERROR
from infra.postgres.pool import DangerousSettingsError, connect
from infra.security.api_key_errors import KeyStoreError
from infra.security.api_key_events import newest_events
from infra.security.api_key_store import create_key, list_keys, revoke_key, rotate_key
from infra.security.api_keys import INSTALLATION_SCOPES, MAX_OVERLAP, PARTNER_SCOPES, KeyActor, KeyRecord
from infra.settings import PostgresSettings, SecuritySettings, SettingsError, load
from infra.settings_names import warn_of_mistyped

T = TypeVar("T")
_MODES: Final = ("live", "test")
_SCOPE_HELP: Final = "May be repeated; without any: all scopes of such a key. events:read opens nothing yet."
_KEY_ROW: Final = "{:<8}  {:<8}  {:<20}  {:<4}  {:<22}  {:<22}  {}  {}"


@click.group(help="Create, list, rotate, revoke and audit API keys.")
def keys() -> None:
    """Group the commands on keys."""
    warn_of_mistyped(os.environ)


@keys.command(epilog="Example: python -m command_api keys create --partner acme --mode test --scope orders:write")
@click.option("--partner", help="Partner the key belongs to; leave out for an installation key.")
@click.option("--mode", type=click.Choice(_MODES), required=True, help="Live and test share nothing but code.")
@click.option("--scope", "scopes", multiple=True, help=_SCOPE_HELP)
@click.option("--label", default="", help="What the key is for; shown in lists.")
@click.option("--days", type=click.IntRange(1, 3650), help="Days until it expires; never without.")
def create(partner: str | None, mode: str, scopes: tuple[str, ...], label: str, days: int | None) -> None:
    """Create a key and print it; it cannot be shown again."""
    possible = PARTNER_SCOPES if partner else INSTALLATION_SCOPES
    now = clock.now()
    expires_at = None if days is None else now + timedelta(days=days)

    async def work(connection: DedicatedConnection) -> tuple[str, KeyRecord]:
        return await create_key(
            connection,
            pepper=_pepper(),
            partner_id=partner,
            livemode=mode == "live",
            scopes=frozenset(scopes) or possible,
            now=now,
            label=_label(label),
            expires_at=expires_at,
            by=_operator(),
        )

    _print_new(*_run(work))


@keys.command("list", epilog="Example: python -m command_api keys list --partner acme")
@click.option("--partner", help="Only this partner's keys.")
def list_command(partner: str | None) -> None:
    """List keys, oldest first; the keys themselves are not stored and cannot be shown."""
    now = clock.now()
    records = _run(lambda connection: list_keys(connection, partner_id=partner))
    click.echo(_KEY_ROW.format("key", "state", "partner", "mode", "used", "ends", "scopes", "label"))
    for record in records:
        state = "live" if record.is_live(now) else "revoked" if record.revoked_at else "expired"
        used = record.last_used_at.isoformat(timespec="minutes") if record.last_used_at else "never"
        ends = record.ends_at.isoformat(timespec="minutes") if record.ends_at else "never"
        mode = "live" if record.livemode else "test"
        owner = record.partner_id or "(installation)"
        scopes = ",".join(sorted(record.scopes))
        click.echo(_KEY_ROW.format(record.key_id, state, owner, mode, used, ends, scopes, record.label))


@keys.command(epilog="Example: python -m command_api keys rotate 8Zk2Qp1x --overlap-minutes 1440")
@click.argument("key_id")
@click.option("--overlap-minutes", type=click.IntRange(0, MAX_OVERLAP.days * 24 * 60), default=60, show_default=True)
def rotate(key_id: str, overlap_minutes: int) -> None:
    """Create a successor with the same scopes; the old key works until the overlap ends."""

    async def work(connection: DedicatedConnection) -> tuple[str, KeyRecord]:
        overlap = timedelta(minutes=overlap_minutes)
        text, successor, _old = await rotate_key(
            connection, pepper=_pepper(), key_id=key_id, overlap=overlap, now=clock.now(), by=_operator()
        )
        return text, successor

    _print_new(*_run(work))


@keys.command(epilog="Example: python -m command_api keys revoke 8Zk2Qp1x")
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Revoke a key; every process refuses it within 5 seconds."""
    record = _run(lambda connection: revoke_key(connection, key_id=key_id, now=clock.now(), by=_operator()))
    click.echo(f"{record.key_id} is revoked since {record.revoked_at}.")


@keys.command(epilog="Example: python -m command_api keys audit --partner acme --limit 20")
@click.option("--key", "key_id", help="Only this key's events.")
@click.option("--partner", help="Only events of this partner's keys.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="The last so many.")
def audit(key_id: str | None, partner: str | None, limit: int) -> None:
    """Show who created, rotated and revoked keys, and when; oldest first. Nobody can change this history."""
    for event in _run(lambda connection: newest_events(connection, key_id=key_id, partner_id=partner, rows=limit)):
        owner = f"{event.partner_id or '(installation)'} {'live' if event.livemode else 'test'}"
        when = event.recorded_at.isoformat(timespec="milliseconds")
        details = " ".join(
            f"{name}={_shown(name, value)}" for name, value in event.details.items() if value not in (None, "")
        )
        by = f"{event.actor.type}:{event.actor.id}" + (f" ({event.actor_label!r})" if event.actor_label else "")
        click.echo(
            f"{when}  {event.type:<16} {event.key_id}  {owner}  by {by}  request {event.actor.request_id}  {details}"
        )


def _shown(name: str, value: object) -> object:
    """Return a detail for people; a label is quoted, or it could pass for other details."""
    return repr(value) if name == "label" else value


def _label(value: str) -> str:
    try:
        return text.label(value)
    except TextError as error:
        raise click.ClickException(f"--label: {error.detail}") from None


def _operator() -> KeyActor:
    """Return who types, by the operating system and not by a variable that anybody may set."""
    user_id = os.getuid()
    try:
        name = pwd.getpwuid(user_id).pw_name
    except KeyError:
        name = f"uid-{user_id}"
    return KeyActor("cli", name, clock.new_id_text())


def _print_new(text: str, record: KeyRecord) -> None:
    click.echo(text)
    click.echo(f"Key {record.key_id}: keep it safe, it cannot be shown again.", err=True)


def _pepper() -> bytes:
    return load(SecuritySettings).api_key_pepper.get_secret_value().encode()


def _run(work: Callable[[DedicatedConnection], Awaitable[T]]) -> T:
    """Run `work` on one connection; what an operator can repair ends as one line that says what to do."""

    async def with_connection() -> T:
        connection = await connect(load(PostgresSettings), application_name="harbor-keys")
        try:
            return await work(connection)
        finally:
            await connection.close()

    try:
        return asyncio.run(with_connection())
    except (SettingsError, ValueError, KeyStoreError, DangerousSettingsError) as error:
        raise click.ClickException(str(error)) from None
    except ANY_DATABASE_ERROR as error:
        raise click.ClickException(advice(error)) from None
