"""Replay the log of the running stack with the stock `eventsourcing` library: an application, its log, a projection.

Usage: .venv/bin/python examples/replay_with_eventsourcing.py [--tenant acme.test]

It reads the address of the event store from the running stack (`$HARBOR_HOME/stack.json`) and logs in with a role that
can only read. Nothing below is Harbor's code: `PERSISTENCE_MODULE` alone points the library to the events.
"""

import argparse
import json
import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.persistence import Notification, Tracking
from eventsourcing.popo import POPOTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.utils import register_topic

CHECKOUT = Path(__file__).resolve().parent.parent
SECTION = 1_000
PROGRESS_S = 1.0


class CapturedData(TypedDict):
    """What this replay needs of `order.captured`; docs/events.md describes all of it."""

    amount_minor: int
    currency: str


@dataclass(frozen=True)
class OrderCaptured:
    """`order.captured` as the library's mapper builds it: the stored JSON, its members as attributes."""

    originator_id: UUID
    originator_version: int
    occurred_at: str
    data: CapturedData


register_topic("order.captured", OrderCaptured)  # our events are named by what happened, not by a Python class


class Orders(Application[UUID]):
    """All orders; it only reads, so it needs no aggregates."""

    log_section_size = SECTION


class RevenueView(POPOTrackingRecorder):
    """Captured minor units per currency, in memory; a lasting view would be a table (decision 0029)."""

    def __init__(self) -> None:
        super().__init__()
        self.captured_minor: Counter[str] = Counter()

    def add(self, currency: str, amount_minor: int, tracking: Tracking) -> None:
        """Count one capture, once."""
        with self._database_lock:
            self._assert_tracking_uniqueness(tracking)
            self._insert_tracking(tracking)
            self.captured_minor[currency] += amount_minor


class Revenue(Projection[RevenueView]):
    """Follows captures only: the database leaves all other events out."""

    name = "revenue"
    topics = ("order.captured",)

    @singledispatchmethod
    def process_event(self, domain_event: OrderCaptured, tracking: Tracking) -> None:
        """Count one capture."""
        self.view.add(domain_event.data["currency"], domain_event.data["amount_minor"], tracking)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the whole log says: events per type, captured minor units per currency."""

    events: Mapping[str, int]
    captured_minor: Mapping[str, int]


def replay(variables: Mapping[str, str], say: Callable[[str], None]) -> Replayed:
    """Read the log from its first event to its present end, telling how far it is.

    Args:
        variables: `HARBOR_POSTGRES__URL`, and `HARBOR_TENANT` to read one tenant's events.
        say: takes lines of progress.
    """
    environment = {
        "PERSISTENCE_MODULE": "infra.eventsourcing_module",
        "REVENUE_PERSISTENCE_MODULE": "eventsourcing.popo",
        **variables,
    }
    with ProjectionRunner(
        application_class=Orders, projection_class=Revenue, view_class=RevenueView, env=environment
    ) as runner:
        events: Counter[str] = Counter()
        last_capture: int | None = None
        for notification in notifications(runner.app, say):
            events[notification.topic] += 1
            if notification.topic in Revenue.topics:
                last_capture = notification.id
        while not runner.projection.view.has_tracking_id(Orders.name, last_capture):
            say(f"projection at {runner.projection.view.max_tracking_id(Orders.name) or 0} of {last_capture}")
            runner.run_forever(PROGRESS_S)  # raises what went wrong in the projection
        return Replayed(dict(events), dict(runner.projection.view.captured_minor))


def notifications(app: Orders, say: Callable[[str], None]) -> Iterator[Notification]:
    """Return the notification log up to where it ends now, a section at a time."""
    end = app.recorder.max_notification_id()
    start = 0
    while end is not None and start < end:
        section = app.notification_log.select(start, SECTION, end, inclusive_of_start=False)
        yield from section
        start = section[-1].id
        say(f"log at {start} of {end} ({start / end:.0%})")


def address(home: Path) -> str:
    """Return the read-only address of the running stack's event store, or end the program."""
    try:
        stack = json.loads((home / "stack.json").read_text())
    except OSError:
        sys.exit(f"nothing runs in {home}; start it with: {_same_home()}make up DETACH=1")
    return str(stack["postgres_read_only"])


def rows(counts: Mapping[str, int]) -> list[str]:
    """Return the lines of a table, by name."""
    width = max((len(name) for name in counts), default=0)
    return [f"  {name:<{width}}{count:>12}" for name, count in sorted(counts.items())]


def main(tenant_id: str | None) -> None:
    """Replay the running stack's log and print what it says."""
    sys.path.append(str(CHECKOUT))  # the library imports `infra.eventsourcing_module` by name
    home = Path(os.environ.get("HARBOR_HOME") or CHECKOUT / ".harbor")
    variables = {"HARBOR_POSTGRES__URL": address(home)} | ({"HARBOR_TENANT": tenant_id} if tenant_id else {})
    replayed = replay(variables, lambda line: print(line, file=sys.stderr))
    print(f"{sum(replayed.events.values())} events")
    for line in [*rows(replayed.events), "captured, in minor units", *rows(replayed.captured_minor)]:
        print(line)


def _same_home() -> str:
    named = os.environ.get("HARBOR_HOME")
    return f"HARBOR_HOME={shlex.quote(named)} " if named else ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenant", help="partner and mode, such as acme.test (default: all tenants)")
    main(parser.parse_args().tenant)
