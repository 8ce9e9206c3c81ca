"""What `status` shows: each process and server of the running stack, its address, and how it is."""

import asyncio
import json
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg
import psutil

from infra import clock
from infra.local import states as states_of
from infra.local.addresses import shown
from infra.local.errors import AlreadyRunsError
from infra.local.home import Home, make_command
from infra.local.processes.supervisor import Say
from infra.local.report import aligned
from infra.observability.health import MEANINGS
from infra.postgres.backlogs import SEE, look, standing
from infra.postgres.failures import ANY_DATABASE_ERROR
from infra.security.api_key_store import find_key
from infra.security.api_keys import KeyRecord, MalformedKeyError, parse
from infra.settings import KafkaSettings

_TIMEOUT_S = 1.0
# The relay notes down how far it is once a second.
_BETWEEN_LOOKS_S = 1.5
_FULL_BYTES = 1_000_000
_COLUMNS = ("process", "pid", "restarts", "memory", "state", "address", "log")
_SERVERS = {"postgres": "postgres", "valkey": "redis", "kafka": "kafka"}


def status(home: Home, progress: Say) -> list[str]:
    """Return one line per process and server; none when nothing runs. `progress` gets what takes its time."""
    try:
        with home.held():
            return []
    except AlreadyRunsError:
        pass
    except OSError:
        return []
    try:
        facts = json.loads(home.stack_file.read_text())
    except (OSError, ValueError):
        return [f"starting in {home.path}"]
    urls = {name: facts[name] for name in ("command_api", "query_api")} | facts["ops"]
    key = facts["api_keys"]["partner_a"]
    states, warning, stands = asyncio.run(_ask(states_of.everything(facts, urls), facts, key, progress))
    rows = [_COLUMNS]
    for name, process in facts["processes"].items():
        pid, address = process["pid"], urls.get(name) or shown(facts[_SERVERS[name]])
        where = (states.get(name, "-"), address, facts["logs"][name])
        rows.append((name, str(pid or "-"), str(process["restarts"]), _memory_mb(pid), *where))
    for name, fact in _SERVERS.items():
        if name not in facts["processes"]:
            rows.append(
                (name, "-", "-", "-", states.get(name, "-"), shown(facts[fact]) if facts[fact] else "none", "-")
            )
    numbers = range(1, 4)
    lines = [f"{'data':12}  {facts['data_dir']}", f"{'test API key':12}  {key}{f'  ({warning})' if warning else ''}"]
    return [*aligned(rows, numbers), *_meanings(states.values()), *stands, *_disk(home), *lines]


def _disk(home: Home) -> list[str]:
    """Return a line when the disk of the home is full: then what is shown may be old as well."""
    if shutil.disk_usage(home.path).free >= _FULL_BYTES:
        return []
    return [f"the disk of {home.path} is full: free some space, and everything goes on by itself"]


def _meanings(states: Iterable[str]) -> list[str]:
    """Return one line for each code that a process waits for."""
    shown_codes = {word.strip(",") for state in states for word in state.split()}
    return [f"{code}: {meaning}" for code, meaning in MEANINGS.items() if code in shown_codes]


async def _ask(
    asked: Mapping[str, states_of.Asked], facts: Mapping[str, Any], key: str, progress: Say
) -> tuple[dict[str, str], str, list[str]]:
    """Ask all at once, and the database about the key and what waits, so that one that hangs delays no other."""
    tasks = {name: asyncio.create_task(states_of.state(each)) for name, each in asked.items()}
    warning = asyncio.create_task(key_warning(facts["postgres"], key))
    waits = asyncio.create_task(standing_lines(facts["postgres"], has_broker=bool(facts["kafka"])))
    await asyncio.wait({*tasks.values(), warning, waits}, timeout=states_of.SLOW_S)
    if late := [name for name, task in tasks.items() if not task.done()]:
        progress(f"waiting up to {states_of.LIVE_S:g} s for {', '.join(late)}")
    return {name: await task for name, task in tasks.items()}, await warning, await waits


def _memory_mb(pid: int | None) -> str:
    """Return the resident memory of a process and its children; "-" for one that is about to start again."""
    if pid is None:  # to psutil that would be this process
        return "-"
    try:
        process = psutil.Process(pid)
        total = sum(each.memory_info().rss for each in [process, *process.children(recursive=True)])
    except psutil.Error:
        return "-"
    return f"{total / 1e6:.0f} MB"


async def standing_lines(admin_url: str, *, has_broker: bool) -> list[str]:
    """Return one line for each thing that makes no progress, and for parked orders; none when that cannot be known."""
    kafka = KafkaSettings()
    topic = kafka.events_topic if has_broker else None
    try:
        async with asyncio.timeout(_BETWEEN_LOOKS_S + 2 * _TIMEOUT_S):
            connection = await asyncpg.connect(admin_url, timeout=_TIMEOUT_S)
            try:
                view = await look(connection, topic=topic, partitions=kafka.partitions)
                found = standing(view)
                stands = found
                if found:  # or it only catches up, which a second look shows
                    await asyncio.sleep(_BETWEEN_LOOKS_S)
                    later = await look(connection, topic=topic, partitions=kafka.partitions)
                    stands = standing(later, view)
            finally:
                connection.terminate()
    except ANY_DATABASE_ERROR:
        return []
    lines = [f"{of} stands: {sentence}" for of, sentence in stands.items()]
    lines += [f"{of} catches up: {found[of].partition(SEE)[0]}" for of in found.keys() - stands.keys()]
    if view.parked_orders:
        listed = "`.venv/bin/python -m infra.local run projections dlq list`"
        lines.append(f"{view.parked_orders} orders are parked, each in a projection: {listed} shows them")
    return lines


async def key_warning(admin_url: str, text: str) -> str:
    """Return when a key was revoked or expires; empty for a key that stays, or that cannot be looked up in a second."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            connection = await asyncpg.connect(admin_url)
            try:
                record = await find_key(connection, parse(text).key_id)
            finally:
                connection.terminate()
    except (OSError, TimeoutError, MalformedKeyError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return ""
    end = _end(record) if record else ""
    return end and f"{end} `{make_command('down')}`, then `{make_command('up')}` makes another"


def _end(record: KeyRecord) -> str:
    if record.revoked_at:
        return f"revoked at {record.revoked_at:%Y-%m-%d %H:%M:%S} UTC;"
    if record.ends_at is None:
        return ""
    at = f"{record.ends_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"expires at {at}; after that" if record.is_live(clock.now()) else f"expired at {at};"
