"""The worker, and the operator's commands for read models and dead letters (`python -m projections`)."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import click

from infra.clock import monotonic_s
from infra.postgres.advice import advice
from infra.postgres.backlogs import STANDING_S
from infra.postgres.connection import DedicatedConnection
from infra.postgres.failures import ANY_DATABASE_ERROR
from infra.postgres.pool import connect
from infra.runtime import run_process
from infra.settings import KafkaSettings, PostgresSettings, SettingsError, load
from infra.settings_names import warn_of_mistyped
from projections import run, verify
from projections.catalogue import PROJECTIONS
from projections.dead_letters import command_line as dead_letters
from projections.dead_letters.store import DeadLetter
from projections.read_models.create_tables import create_tables

T = TypeVar("T")

_COMMAND_S = 3600.0
_PROGRESS_EVERY_S = 1.0
_SHOWN = 20
_INCOMPLETE = 3
_BY_NAME = {(each.name, each.version): each for each in PROJECTIONS}
_SEE_LIST = "see `python -m projections dlq list --all`"


@click.group()
def main() -> None:
    """Hold the commands; `projections.__main__` shows them."""


@main.command(epilog="Example: HARBOR_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:9092 python -m projections worker")
def worker() -> None:
    """Keep the read models and the webhook queue current; run as many as you like."""
    run_process("worker", run.main)


@main.command("create-tables", epilog="Example: python -m projections create-tables")
def create_tables_command() -> None:
    """Create the read-model tables that are missing; a worker does the same when it starts."""
    created = _run(create_tables)
    click.echo(f"created {', '.join(created)}" if created else "nothing was missing")


@main.command("verify", epilog="Example: python -m projections verify orders")
@click.argument("name", type=click.Choice(list(verify.VERIFIABLE)))
@click.option("--without-workers", is_flag=True, help="No worker runs: what waits for one is counted and no finding.")
def verify_command(name: str, *, without_workers: bool) -> None:
    """Fold the whole log again and compare the read model NAME with it, row by row.

    Exit status: 0 all is compared and equal, 1 rows differ, 3 nothing differs, but some could not be compared (parked
    orders, or events that no worker has applied for some time).
    """
    started = monotonic_s()
    try:
        partitions = load(KafkaSettings).partitions
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    tally, found = _run(lambda connection: _verify(connection, verify.VERIFIABLE[name], partitions))
    seconds = max(monotonic_s() - started, 1e-9)
    click.echo(
        f"{name}: {tally.rows} rows from {tally.events} events compared in {seconds:.1f} s "
        f"({tally.events / seconds:,.0f} events/s), {found} differences"
    )
    waiting = tally.behind if without_workers else 0
    if waiting:
        click.echo(f"{waiting} events wait for a worker and were not compared")
        tally.behind, tally.first_behind_at = 0, None
    for line in _not_compared(tally):
        click.echo(line)
    if found:
        click.echo(
            "Next: the event store is right, the read model is not. No command mends single rows; fill it again from "
            'the log as docs/guides/operators.md says ("Fill a read model again")'
        )
        sys.exit(1)
    if not tally.is_complete:
        sys.exit(_INCOMPLETE)


def _not_compared(tally: verify.Tally) -> list[str]:
    """Return what was left out, and what to do about it."""
    lines: list[str] = []
    for each in tally.parked[:_SHOWN]:
        place = f"from event #{each.sequence} on (events parked: {each.events})"
        lines.append(f"{each.order_id} is parked {place} and NOT VERIFIED: dead letter {each.dead_letter_id}")
    if tally.parked:
        lines.append(
            f"NOT VERIFIED: parked orders, {len(tally.parked)} in all. Next: `python -m projections dlq show "
            f"{tally.parked[0].dead_letter_id}` says what failed; once that is mended, `python -m projections dlq "
            "retry --all` applies them"
        )
    if tally.behind and tally.behind_s > STANDING_S:
        lines.append(
            f"NOT VERIFIED: events that no worker has applied, {tally.behind} in all, the first for "
            f"{tally.behind_s:.0f} s. Next: see /readyz and the log of the workers, then verify again"
        )
    elif tally.behind:
        lines.append(
            f"{tally.behind} events of the last {tally.behind_s:.1f} s were not compared: workers apply them now"
        )
    return lines


@main.group(epilog="Example: python -m projections dlq list")
def dlq() -> None:
    """Events that a projection could not apply: list, show, retry, discard."""


@dlq.command("list", epilog="Example: python -m projections dlq list --projection orders")
@click.option("--projection", type=click.Choice([each.name for each in PROJECTIONS]), help="only this projection")
@click.option("--all", "everything", is_flag=True, help="also discarded events")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="events shown, at most")
def list_command(projection: str | None, limit: int, *, everything: bool) -> None:
    """List parked events, oldest first."""
    status = None if everything else "parked"

    async def work(connection: DedicatedConnection) -> tuple[list[DeadLetter], int]:
        found = await dead_letters.list_dead_letters(connection, status=status, projection=projection, limit=limit)
        return found, await dead_letters.count_dead_letters(connection, status=status, projection=projection)

    found, total = _run(work)
    for each in found:
        click.echo(
            f"{each.dead_letter_id:>8}  {each.status:<9} {each.projection:<15} {each.reason:<7} "
            f"{each.order_id} #{each.sequence:<4} {each.type:<17} {each.error}"
        )
    shown = f", the first {len(found)} shown (--limit)" if len(found) < total else ""
    click.echo(f"{total} dead letters{shown}" if found else "no dead letters: nothing is parked")


@dlq.command("show", epilog="Example: python -m projections dlq show 17")
@click.argument("dead_letter_id", type=int)
def show_command(dead_letter_id: int) -> None:
    """Show one dead letter in full; the event's payload is in the event store, at its position."""
    found = _run(lambda connection: _find(connection, dead_letter_id))
    for name in found.__slots__:
        click.echo(f"{name:<15} {getattr(found, name)}")


@dlq.command("retry", epilog="Examples: python -m projections dlq retry 17; python -m projections dlq retry --all")
@click.argument("dead_letter_id", type=int, required=False)
@click.option("--all", "everything", is_flag=True, help="retry every parked order")
def retry_command(dead_letter_id: int | None, *, everything: bool) -> None:
    """Apply what is parked of an order in its projection, from the event store; exit 1 if some stays parked."""
    if (dead_letter_id is None) != everything:
        raise click.UsageError("name one dead letter by its id, or --all")

    async def work(connection: DedicatedConnection) -> int:
        if dead_letter_id is None:
            chosen = await dead_letters.parked(connection)
        else:
            chosen = [await _find(connection, dead_letter_id)]
        if not chosen:
            click.echo("nothing is parked")
        return sum([await _retry(connection, each) for each in chosen])

    if still_parked := _run(work):
        click.echo(f"{still_parked} events are still parked. Next: python -m projections dlq list")
        sys.exit(1)


@dlq.command("discard", epilog="Example: python -m projections dlq discard 17 --yes")
@click.argument("dead_letter_id", type=int)
@click.confirmation_option(prompt="Discard this event in this projection for good?")
def discard_command(dead_letter_id: int) -> None:
    """Discard one event; later events of its order stay parked until they are retried.

    The event stays in the event store and in the other projections. The timeline and the webhooks continue without it;
    an order's document cannot be folded past it and stays as it was.
    """
    if _run(lambda connection: dead_letters.discard(connection, dead_letter_id)) is None:
        raise click.ClickException(f"dead letter {dead_letter_id} is not parked: {_SEE_LIST}")
    click.echo(
        f"discarded {dead_letter_id}. Next, for later events of the order: python -m projections dlq retry --all"
    )


async def _retry(connection: DedicatedConnection, parked: DeadLetter) -> int:
    """Retry one order in one projection, print the outcome, and return how many events are still parked."""
    projection = _BY_NAME.get((parked.projection, parked.version))
    if projection is None:
        name = f"{parked.projection} v{parked.version}"
        click.echo(f"{parked.dead_letter_id}: {name} is unknown to this version; skipped, still parked")
        return 1
    outcome = await dead_letters.retry(connection, projection, parked)
    because = f": {outcome.error}" if outcome.error else ""
    click.echo(
        f"{parked.projection} {parked.order_id}: {outcome.applied} applied, "
        f"{outcome.still_parked} still parked{because}"
    )
    return outcome.still_parked


async def _find(connection: DedicatedConnection, dead_letter_id: int) -> DeadLetter:
    found = await dead_letters.find_dead_letter(connection, dead_letter_id)
    if found is None:
        raise click.ClickException(f"there is no dead letter {dead_letter_id}: {_SEE_LIST}")
    return found


async def _verify(
    connection: DedicatedConnection, model: verify.Verifiable, partitions: int
) -> tuple[verify.Tally, int]:
    """Compare, with a line of progress per second on standard error; return the tally and the number of differences."""
    tally, found, started = verify.Tally(), 0, monotonic_s()
    head: int = await connection.fetchval("SELECT coalesce(max(last_position), 0) FROM harbor.batches")

    async def show_progress() -> None:
        while True:
            await asyncio.sleep(_PROGRESS_EVERY_S)
            if not tally.events:
                click.echo(f"sorting {head:,} events", err=True)
                continue
            rate = tally.events / (monotonic_s() - started)
            percent, left_s = 100 * tally.events / head, (head - tally.events) / rate
            click.echo(f"{percent:5.1f} %  {rate:,.0f} events/s  {left_s:.0f} s left", err=True)

    progress = asyncio.create_task(show_progress())
    try:
        async for difference in verify.differences(connection, model, partitions=partitions, tally=tally):
            found += 1
            if found <= _SHOWN:
                order_id, sequence = difference.key
                click.echo(f"{order_id}{f' #{sequence}' if sequence else ''} {difference.what}")
            elif found == _SHOWN + 1:
                click.echo("... more differences are counted, not shown")
    finally:
        progress.cancel()
    return tally, found


def _run(work: Callable[[DedicatedConnection], Awaitable[T]]) -> T:
    """Run an operator's command on one connection; a failure is one line that says what to do."""

    async def connected() -> T:
        settings = load(PostgresSettings).model_copy(update={"command_timeout_s": _COMMAND_S})
        connection = await connect(settings, application_name="harbor-projections-operator")
        try:
            return await work(connection)
        finally:
            await connection.close()

    warn_of_mistyped(os.environ)
    try:
        return asyncio.run(connected())
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
        raise click.ClickException(
            f"{error}: run python -m infra.postgres.migrate, then python -m projections create-tables"
        ) from None
    except ANY_DATABASE_ERROR as error:
        raise click.ClickException(advice(error)) from None
