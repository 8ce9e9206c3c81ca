"""Whether the stack gets a broker of its own: `--broker auto|kafka|none`."""

import sys
from collections.abc import Callable
from pathlib import Path

from infra.local.servers import kafka_jars
from infra.local.servers.kafka import KafkaError, find_java

_PLAIN_EVERY = 10
Say = Callable[[str], None]


class NoBrokerError(Exception):
    """A broker was asked for and cannot be had; the message says why."""


def jars_for(choice: str, say: Say, is_given_up: Callable[[], bool], directory: Path | None = None) -> Path | None:
    """Return the directory of the broker's jars, or None: run without a broker.

    Args:
        choice: `kafka` insists, `none` refuses, `auto` takes one if it can be had and says so if not.
        say: told about progress, and why there is no broker.
        is_given_up: asked before each fetch; True ends it.
        directory: where the jars lie; by default in the cache.

    Raises:
        NoBrokerError: `kafka` was asked for and the jars or a Java are missing.
        TamperedJarError: the jars are not those of the lock file; no choice accepts that.
    """
    if choice == "none":
        return None
    shown = _bar() if sys.stdout.isatty() else _lines(say)

    def progress(done: int, total: int, name: str) -> None:
        if is_given_up():
            raise kafka_jars.JarsUnavailableError("the start was given up")
        shown(done, total, name)

    try:
        find_java()
        return kafka_jars.fetch(progress, directory)
    except (kafka_jars.JarsUnavailableError, KafkaError) as error:
        if choice == "kafka":
            raise NoBrokerError(f"no broker: {error}") from error
        say(f"no broker: {error}; the workers read the event store directly (BROKER=kafka insists on one)")
        return None


def _lines(say: Say) -> kafka_jars.Progress:
    def progress(done: int, total: int, name: str) -> None:
        if done % _PLAIN_EVERY == 0:
            say(f"fetching the broker, first start only: {done}/{total} jars ({name})")

    return progress


def _bar() -> kafka_jars.Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    shown = Progress(
        TextColumn("fetching the broker, first start only"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[file]}"),
        transient=True,
    )
    task = shown.add_task("jars", total=None, file="")

    def progress(done: int, total: int, name: str) -> None:
        shown.start()
        shown.update(task, completed=done, total=total, file=name)
        if done + 1 == total:
            shown.stop()

    return progress
