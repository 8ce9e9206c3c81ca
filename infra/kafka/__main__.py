"""`python -m infra.kafka topics`: create what is missing, check what exists."""

import asyncio
import os
import sys

import click
from aiokafka.errors import KafkaError

from infra.kafka.topics import Topic, TopicsError, check_topics, ensure_topics, events_topic
from infra.observability.reasons import reason_of
from infra.settings import KafkaSettings, SettingsError, load
from infra.settings_names import warn_of_mistyped


@click.group()
def main() -> None:
    """Look after the Kafka side of Harbor Orders."""


@main.command()
@click.option("--check", is_flag=True, help="Only check; create nothing.")
@click.option("--deadline", "deadline_s", default=30.0, show_default=True, help="Seconds to wait for the broker.")
def topics(*, check: bool, deadline_s: float) -> None:
    """Create the topics that are missing, and check partitions, retention and time stamps of all.

    Safe to repeat. Example:

        HARBOR_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:9092 python -m infra.kafka topics
    """
    warn_of_mistyped(os.environ)
    try:
        settings = load(KafkaSettings)
        if not settings.bootstrap_servers:
            sys.exit("no broker is configured: set HARBOR_KAFKA__BOOTSTRAP_SERVERS=host:port")
        wanted = [events_topic(settings)]
        for line in asyncio.run(_run(settings.bootstrap_servers, wanted, check=check, deadline_s=deadline_s)):
            print(line)
    except (SettingsError, TopicsError) as error:
        sys.exit(str(error))


async def _run(bootstrap_servers: str, wanted: list[Topic], *, check: bool, deadline_s: float) -> list[str]:
    """Return one line per topic.

    Raises:
        TopicsError: a topic is not as it must be, or no broker answered in time.
    """
    created: list[str] = []
    try:
        async with asyncio.timeout(deadline_s):
            while True:
                try:
                    if check:
                        await check_topics(bootstrap_servers, wanted, deadline_s=deadline_s)
                    else:
                        created = await ensure_topics(bootstrap_servers, wanted, deadline_s=deadline_s)
                    break
                except KafkaError as error:
                    if not error.retriable:
                        raise TopicsError(
                            f"the broker refused ({reason_of(error)}): may this login create and describe topics?"
                        ) from error
                    await asyncio.sleep(0.2)
    except TimeoutError:
        raise TopicsError(
            f"no broker answered at {bootstrap_servers} within {deadline_s:g} s: is it up, and is the address right?"
        ) from None
    return [
        f"{topic.name}: {'created' if topic.name in created else 'as it must be'}, {topic.partitions} partitions"
        for topic in wanted
    ]


if __name__ == "__main__":
    main()
