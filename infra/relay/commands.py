"""What operators do with the topic by hand: `python -m infra.relay verify` and `refill`."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, TextIO, TypeVar

import click
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from infra.clock import monotonic_s
from infra.event_store.postgres import open_event_store
from infra.event_store.protocol import EventStore, EventStoreError
from infra.kafka.clients import BrokerTimeoutError
from infra.kafka.tail import purge
from infra.kafka.topics import Topic, TopicsError, check_topics, events_topic
from infra.observability.reasons import reason_of
from infra.postgres.advice import advice
from infra.postgres.failures import ANY_DATABASE_ERROR
from infra.postgres.pool import open_pool
from infra.relay.comparison import Comparison, Difference, Kind, compare
from infra.settings import KafkaSettings, PostgresSettings, SettingsError, load

T = TypeVar("T")
Work = Callable[[EventStore, str, Topic], Awaitable[T]]

_PROGRESS_EVERY_S: Final = 1.0
_DEADLINE_S: Final = 30.0
_SHOWN: Final = 20
_MEANINGS: Final[dict[Kind, tuple[str, str]]] = {
    "missing": ("event", "missing before others"),
    "unsent": ("event", "not on the topic yet"),
    "unknown": ("record", "whose event the store does not hold"),
    "different": ("record", "unlike the event"),
}


@click.command(epilog="Example: python -m infra.relay verify")
def verify() -> None:
    """Compare every record of the topic with the event store; exit 1 if an event is missing or anything differs.

    Only reads, in constant memory; the relay and all consumers may run meanwhile.
    """
    comparison = _run(lambda *ports: _compared(*ports, keep=None))
    if not comparison.is_whole:
        click.echo(
            "Next: a running relay sends by itself what is missing at the end or the beginning. For all else, have the "
            "topic filled again: python -m infra.relay refill"
        )
        sys.exit(1)


@click.command(epilog="Example: python -m infra.relay refill --save only-on-topic.jsonl --yes")
@click.option("--yes", is_flag=True, help="Do it; without, only say what would be done.")
@click.option(
    "--save", "path", type=click.Path(path_type=Path, dir_okay=False),
    help="New file for the records whose events the store does not hold, one JSON object a line; /dev/null: lose them.",
)  # fmt: skip
def refill(*, yes: bool, path: Path | None) -> None:
    """Delete all records of the topic, so that the relay sends every event of the store again, from the first on.

    For a topic that is ahead of a store that was restored from an old copy, or that has a hole which the relay has not
    found. Consumers that keep positions drop what they know. Nothing is deleted without --yes.
    """
    with ExitStack() as stack:
        keep = None if path is None else _saving_to(stack.enter_context(_new_file(path)), path)
        comparison = _run(lambda *ports: _compared(*ports, keep=keep))
    unknown = comparison.counts.get("unknown", 0)
    click.echo(f"This deletes {comparison.records} records; the relay then sends {comparison.events} events.")
    if unknown and path is None:
        raise click.ClickException(
            f"the store does not hold the events of {unknown} records: they happened after the copy that was restored "
            "was made, or belong to another store. To keep them, name a new file: --save FILE (/dev/null: lose them)"
        )
    if not yes:
        click.echo("Nothing was deleted. Next: the same command with --yes")
        return
    _run(lambda _store, broker, topic: purge(broker, topic.name, comparison.ends, deadline_s=_DEADLINE_S))
    click.echo(
        f"deleted {comparison.records} records{f', {unknown} of them are in {path}' if unknown else ''}. A running "
        "relay notices within 15 s and is ready again when all is sent. Next: python -m infra.relay verify"
    )


async def _compared(
    store: EventStore, bootstrap_servers: str, topic: Topic, *, keep: Callable[[ConsumerRecord], None] | None
) -> Comparison:
    """Compare, with a line of progress per second on standard error, and print the result."""
    comparison, started = Comparison(), monotonic_s()

    async def show_progress() -> None:
        while True:
            await asyncio.sleep(_PROGRESS_EVERY_S)
            rate = comparison.records / (monotonic_s() - started)
            left = max(0, comparison.expected_records - comparison.records)
            percent = 100 * (1 - left / comparison.expected_records) if comparison.expected_records else 100
            click.echo(f"{percent:5.1f} %  {rate:,.0f} records/s  {left / rate if rate else 0:.0f} s left", err=True)

    progress = asyncio.create_task(show_progress())
    try:
        await compare(
            store, bootstrap_servers, topic, comparison, keep=keep or (lambda _record: None), deadline_s=_DEADLINE_S
        )
    finally:
        progress.cancel()
    for run in comparison.runs[:_SHOWN]:
        click.echo(_line(run))
    if len(comparison.runs) > _SHOWN:
        click.echo("... more are counted, not shown")
    seconds = max(monotonic_s() - started, 1e-9)
    result = ", ".join(_counted(kind, count) for kind, count in comparison.counts.items())
    click.echo(
        f"{topic.name}: {comparison.records} records compared with {comparison.events} events in {seconds:.1f} s "
        f"({comparison.records / seconds:,.0f} records/s); {comparison.repeats} repeats and {comparison.foreign} "
        f"foreign records, which consumers leave out; {result or 'the topic is whole'}"
    )
    return comparison


def _line(run: Difference) -> str:
    where = f"position {run.first}" if run.first == run.last else f"positions {run.first} to {run.last}"
    return f"partition {run.partition}: {_counted(run.kind, run.count)}, {where}"


def _counted(kind: Kind, count: int) -> str:
    noun, meaning = _MEANINGS[kind]
    return f"{count} {noun}{'' if count == 1 else 's'} {meaning}"


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """Open a new file that nobody else may read, since it will hold whole orders; afterwards it is on the disk."""
    is_kept = path != Path(os.devnull)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL if is_kept else os.O_WRONLY
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            yield file
            file.flush()
            if is_kept:
                os.fsync(file.fileno())
                _sync_directory(path.parent)
    except OSError as error:
        raise _not_written(path, error) from None


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _not_written(path: Path, error: OSError) -> click.ClickException:
    return click.ClickException(
        f"{path} cannot be written as a new file: {reason_of(error)}. Nothing was deleted. Next: name another one"
    )


def _saving_to(file: TextIO, path: Path) -> Callable[[ConsumerRecord], None]:
    def save(record: ConsumerRecord) -> None:
        document = {
            "partition": record.partition,
            "offset": record.offset,
            "key": record.key.decode(),
            "headers": {name: value.decode() for name, value in record.headers},
            "value": record.value.decode(),
        }
        try:
            file.write(json.dumps(document, ensure_ascii=False) + "\n")
        except OSError as error:  # of the file: others mean that the database is away
            raise _not_written(path, error) from None

    return save


def _run(work: Work[T]) -> T:
    """Run a command on the store and the topic; a failure is one line that says what to do."""

    async def connected() -> T:
        kafka, postgres = load(KafkaSettings), load(PostgresSettings)
        if not kafka.bootstrap_servers:
            raise click.ClickException("no broker is configured: set HARBOR_KAFKA__BOOTSTRAP_SERVERS=host:port")
        topic = events_topic(kafka)
        await check_topics(kafka.bootstrap_servers, [topic], deadline_s=_DEADLINE_S)
        pool = await open_pool(postgres, application_name="harbor-relay-operator")
        async with pool, open_event_store(postgres, pool) as store:
            return await work(store, kafka.bootstrap_servers, topic)

    try:
        return asyncio.run(connected())
    except (SettingsError, TopicsError) as error:
        raise click.ClickException(str(error)) from None
    except (KafkaError, BrokerTimeoutError) as error:
        raise click.ClickException(f"the broker does not serve: {reason_of(error)}") from None
    except (EventStoreError, *ANY_DATABASE_ERROR) as error:
        raise click.ClickException(f"the event store cannot be read: {advice(error)}") from None
