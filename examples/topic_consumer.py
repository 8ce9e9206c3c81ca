"""A downstream service in small: takes every event of the topic once, each order's in order. Ctrl-C ends it.

Usage: python examples/topic_consumer.py [--database FILE] [--bootstrap HOST:PORT]

It keeps what was earned by currency, and the status of each order, in a SQLite file. Start it as often as you like,
kill it, delete the file: it continues, or starts over. Without --bootstrap it reads the topic of the running stack and
keeps the file in its home. The parts that matter to your own consumer:

* Kafka delivers every record at least once. `Ledger.take` makes that once: work and checkpoint are one transaction of
  *your* database, and a record whose `position` is not above the checkpoint of its partition was seen before.
* Reading continues where your own checkpoint says, not where the group's offsets do (`FromCheckpoints`).
* Records of one order come in order, because they share a partition: take the records of a partition one by one.
* `previous` names the record before: when you have not seen that one, the topic was made again or has lost something.
  Go to the beginning of the partition, where you drop what you know. When it is missing there as well, stop and look.
* Event types that you do not know will come: move on. A new `schema_version` of one you book from may name an amount
  otherwise: stop before it, update, and continue there.
"""

import argparse
import asyncio
import json
import logging
import os
import shlex
import signal
import sqlite3
import sys
from collections.abc import Collection
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, NoReturn

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaConnectionError, KafkaError

CHECKOUT = Path(__file__).resolve().parent.parent
EARNS = {"order.captured": 1, "order.refunded": -1}
KNOWN_VERSIONS = {"order.captured": 3, "order.refunded": 1}
"""Up to which `schema_version` this service knows what it books from (docs/schemas)."""
TABLES = """
CREATE TABLE IF NOT EXISTS checkpoints
    (partition INTEGER PRIMARY KEY, position INTEGER NOT NULL, next_offset INTEGER NOT NULL, taken INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS revenue (currency TEXT PRIMARY KEY, minor INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS orders (order_id TEXT PRIMARY KEY, sequence INTEGER NOT NULL, status TEXT NOT NULL);
"""
# Moves on only from a position below, so that the second to take a record changes nothing.
MOVE = """
INSERT INTO checkpoints VALUES (:partition, :position, :offset + 1, 1) ON CONFLICT (partition)
DO UPDATE SET position = :position, next_offset = :offset + 1, taken = taken + 1 WHERE position < :position
"""
EARN = "INSERT INTO revenue VALUES (?, ?) ON CONFLICT (currency) DO UPDATE SET minor = minor + excluded.minor"
STANDS = "INSERT OR REPLACE INTO orders VALUES (?, ?, ?)"


NOT_OURS = (
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""What a record raises that the relay did not write: a member is missing, or is not what it should be."""


class MissedError(Exception):
    """Records came whose predecessors did not."""


class NewVersionError(Exception):
    """An event that is booked came in a version that was written after this program."""


class Ledger:
    """The service's own database: its work, and how far it came in each partition."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        try:
            self._connection.executescript(TABLES)
        except sqlite3.Error:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def next_offset(self, partition: int) -> int:
        """Return where to read on."""
        found = self._connection.execute("SELECT next_offset FROM checkpoints WHERE partition = ?", [partition])
        return next((offset for (offset,) in found), 0)

    def take(self, record: ConsumerRecord) -> bool:
        """Do the work of one record and move the checkpoint, both or neither; False: it was taken before.

        Raises:
            MissedError: the record before it was never taken.
            NewVersionError: this program is too old for it; nothing was done.
            One of `NOT_OURS`: it is not one of the relay's records; nothing was done.
        """
        headers = {name: value.decode() for name, value in record.headers}
        position, previous = int(headers["position"]), int(headers.get("previous", 0))
        event: dict[str, Any] = json.loads(record.value or b"", parse_float=_no_fraction)
        place = {"partition": record.partition, "position": position, "offset": record.offset}
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            seen = self._connection.execute("SELECT position FROM checkpoints WHERE partition = :partition", place)
            stands_at = next((reached for (reached,) in seen), 0)
            if previous > stands_at:
                raise MissedError(f"partition {record.partition}: {previous} should have come after {stands_at}")
            if not self._connection.execute(MOVE, place).rowcount:
                return False
            self._work(headers["ce_type"], int(headers["schema_version"]), event)
        return True

    def _work(self, event_type: str, schema_version: int, event: dict[str, Any]) -> None:
        """Do what this service is for. Whatever it writes here stands or falls with the checkpoint."""
        data = event["data"]
        if event_type in EARNS:
            if schema_version > KNOWN_VERSIONS[event_type]:
                raise NewVersionError(f"{event_type} comes in schema version {schema_version}")
            self._connection.execute(EARN, [data["currency"], EARNS[event_type] * data["amount_minor"]])
        if "to_status" in data:  # a later type may have none
            self._connection.execute(STANDS, [event["order_id"], event["sequence"], data["to_status"]])

    def count(self) -> int:
        """Return how many events were taken so far."""
        (taken,) = self._connection.execute("SELECT coalesce(sum(taken), 0) FROM checkpoints").fetchone()
        return int(taken)

    def summary(self) -> str:
        """Return the sums as one line."""
        sums = self._connection.execute("SELECT currency, minor FROM revenue ORDER BY currency")
        return f"{self.count()} events taken; earned, in minor units: {dict(sums.fetchall())}"


class FromCheckpoints(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Reads each partition on from the checkpoint, whenever the group assigns it to this consumer."""

    def __init__(self, consumer: AIOKafkaConsumer, ledger: Ledger) -> None:
        self._consumer = consumer
        self._ledger = ledger

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Do nothing: what was taken is in the ledger."""

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Go to the checkpoint of the ledger."""
        for place in assigned:
            with suppress(IllegalStateError):  # taken away again in the meantime
                self._consumer.seek(place, self._ledger.next_offset(place.partition))


async def consume(consumer: AIOKafkaConsumer, ledger: Ledger, stop: asyncio.Event) -> None:
    """Take what comes until `stop` is set; the batch under way is finished."""
    begun_again: set[TopicPartition] = set()
    while not stop.is_set():
        taken = 0
        for place, records in (await consumer.getmany(timeout_ms=300, max_records=500)).items():
            for record in records:
                try:
                    if ledger.take(record):
                        taken += 1
                        begun_again.discard(place)
                except MissedError:
                    if place in begun_again:
                        raise
                    begun_again.add(place)
                    with suppress(IllegalStateError):  # assigned to another consumer in the meantime
                        await consumer.seek_to_beginning(place)
                    break
                except NOT_OURS as error:
                    print(f"stepped over {place.partition}/{record.offset}: {error!r}", file=sys.stderr, flush=True)
        if taken:
            with suppress(KafkaError):  # only for those who watch the lag of the group
                await consumer.commit()
            print(ledger.summary(), flush=True)


async def main(arguments: argparse.Namespace) -> None:
    """Join the group and consume until interrupted."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # A rebalance needs no action; the library itself logs a lost broker.
    logging.getLogger("aiokafka.consumer.group_coordinator").setLevel(logging.CRITICAL)
    bootstrap = arguments.bootstrap or _of_the_stack()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=arguments.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=6_000,  # after which the others take over from a consumer that was killed
        heartbeat_interval_ms=2_000,
    )
    with ExitStack() as kept:  # the ledger is closed last: until the consumer has stopped, a rebalance may ask it
        try:
            await consumer.start()
            ledger = kept.enter_context(closing(_open_ledger(arguments.database)))
            consumer.subscribe([arguments.topic], listener=FromCheckpoints(consumer, ledger))
            known = f"{ledger.count()} events taken before"
            print(f"listening to {arguments.topic} on {bootstrap}; {known}, Ctrl-C ends", flush=True)
            await consume(consumer, ledger, stop)
        except KafkaConnectionError:
            sys.exit(f"there is no broker at {bootstrap}")
        except NewVersionError as error:
            sys.exit(f"{error}, which is newer than this program: update it, and it continues there")
        except MissedError as error:
            sys.exit(
                f"the topic has lost records, or one that was stepped over was the relay's: {error}. "
                "Start again when the relay is ready: it sends what was lost. If that does not help, delete "
                f"{arguments.database} to begin again"
            )
        finally:
            await consumer.stop()


def _open_ledger(path: Path) -> Ledger:
    """Open the file, once there is something to read: a start that fails leaves none behind."""
    try:
        path.parent.mkdir(exist_ok=True)
        return Ledger(path)
    except (OSError, sqlite3.Error) as error:
        sys.exit(f"{path} cannot be used ({error}): choose another file with --database")


def _no_fraction(text: str) -> NoReturn:
    """Refuse it: the numbers of an event are whole, and an amount must never become a float."""
    raise ValueError(f"{text} is not a whole number")


def _home() -> Path:
    return Path(os.environ.get("HARBOR_HOME") or CHECKOUT / ".harbor")


def _of_the_stack() -> str:
    """Return the broker of the running local stack."""
    home = _home()
    named = os.environ.get("HARBOR_HOME")
    start = f"{f'HARBOR_HOME={shlex.quote(named)} ' if named else ''}make up DETACH=1"
    try:
        kafka = json.loads((home / "stack.json").read_text(), parse_float=_no_fraction)["kafka"]
    except OSError:
        sys.exit(f"nothing runs in {home}; start it with: {start}")
    if not kafka:
        sys.exit(f"the stack in {home} runs without Kafka; stop it with make down, then: {start} BROKER=kafka")
    return str(kafka)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--database",
        type=Path,
        default=_home() / "examples" / "revenue.sqlite3",
        help="SQLite file, which goes with the topic: another topic needs another file (default: %(default)s)",
    )
    parser.add_argument("--bootstrap", help="address of a broker (default: that of the running stack)")
    parser.add_argument("--topic", default="orders.events.v1", help="default: %(default)s")
    parser.add_argument("--group", default="revenue", help="consumer group (default: %(default)s)")
    asyncio.run(main(parser.parse_args()))
