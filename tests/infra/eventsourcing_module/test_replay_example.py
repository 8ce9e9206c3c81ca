"""The example tells what is in the log: a stock application, notification log and projection over real orders."""

import asyncio
import json
import os
import sys
from pathlib import Path

from examples.replay_with_eventsourcing import SECTION, Replayed, replay, rows
from tests.support.event_store.log_filler import fill_log
from tests.support.orders.builders import recorded_history
from tests.support.services.servers import Database

SCRIPT = Path(__file__).parents[3] / "examples" / "replay_with_eventsourcing.py"
TOTAL_MINOR = recorded_history()[0].event.totals.total_minor  # of every order of `fill_log`


async def test_it_counts_events_and_sums_revenue_of_all_tenants_or_of_one(database: Database) -> None:
    await fill_log(database.command_url, 400, "authorize", "capture")
    await fill_log(database.command_url, 30, "cancel")
    await fill_log(database.command_url, 7, "authorize", "capture", tenant_id="globex.live")
    lines: list[str] = []

    variables = {"HARBOR_POSTGRES__URL": database.query_url}
    of_all = await asyncio.to_thread(replay, variables, lines.append)
    of_one = await asyncio.to_thread(replay, variables | {"HARBOR_TENANT": "globex.live"}, lines.append)

    assert of_all == Replayed(
        {"order.created": 437, "order.authorized": 407, "order.captured": 407, "order.canceled": 30},
        {"EUR": 407 * TOTAL_MINOR},
    )
    assert of_one == Replayed(
        {"order.created": 7, "order.authorized": 7, "order.captured": 7}, {"EUR": 7 * TOTAL_MINOR}
    )
    assert lines[:2] == [f"log at {SECTION} of 1281 (78%)", "log at 1281 of 1281 (100%)"]


def test_the_longest_name_of_an_event_leaves_the_counts_in_one_column() -> None:
    shown = rows({"order.created": 100_000, "order.authorization_released": 7})

    assert shown == ["  order.authorization_released           7", "  order.created                     100000"]


async def test_it_runs_against_the_address_in_stack_json(database: Database, tmp_path: Path) -> None:
    await fill_log(database.command_url, 3, "authorize", "capture")
    (tmp_path / "stack.json").write_text(json.dumps({"postgres_read_only": database.query_url}))

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        cwd=tmp_path,
        env=os.environ | {"HARBOR_HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()

    assert process.returncode == 0
    assert [line.split() for line in output.decode().splitlines()] == [
        ["9", "events"],
        ["order.authorized", "3"],
        ["order.captured", "3"],
        ["order.created", "3"],
        ["captured,", "in", "minor", "units"],
        ["EUR", str(3 * TOTAL_MINOR)],
    ]
