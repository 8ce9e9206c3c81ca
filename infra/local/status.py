"""What `status` shows: each process of the running stack, its address, and whether it is ready."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psutil

from infra import clock
from infra.local.addresses import shown
from infra.local.errors import AlreadyRunsError
from infra.local.home import Home, make_command
from infra.local.probe import response
from infra.local.report import aligned
from infra.security.api_key_store import find_key
from infra.security.api_keys import KeyRecord, MalformedKeyError, parse

_TIMEOUT_S = 1.0
_COLUMNS = ("process", "pid", "restarts", "memory", "state", "address", "log")


def status(home: Home) -> list[str]:
    """Return one line per process; none when nothing runs."""
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
    states, warning = asyncio.run(_ask(urls, facts["postgres"], key))
    rows = [_COLUMNS]
    for name, process in facts["processes"].items():
        pid, where = str(process["pid"] or "-"), (states.get(name, "-"), urls.get(name, "-"), facts["logs"][name])
        rows.append((name, pid, str(process["restarts"]), _memory_mb(process["pid"]), *where))
    addresses = ("postgres", "redis", "kafka", "data_dir")
    lines = [f"{name:12}  {shown(facts[name]) if facts[name] else 'none'}" for name in addresses]
    numbers = range(1, 4)
    return [*aligned(rows, numbers), *lines, f"{'test API key':12}  {key}{f'  ({warning})' if warning else ''}"]


async def _ask(urls: Mapping[str, str], admin_url: str, key: str) -> tuple[dict[str, str], str]:
    """Ask all processes at once, and the database about the key, so that one that hangs delays no other."""
    states, warning = await asyncio.gather(asyncio.gather(*map(_state, urls.values())), key_warning(admin_url, key))
    return dict(zip(urls, states, strict=True)), warning


async def _state(url: str) -> str:
    parts = urlsplit(url)
    found = await response((parts.hostname or "", parts.port or 80), "/readyz", _TIMEOUT_S)
    try:
        document: dict[str, Any] = json.loads(found[1]) if found else {}
        return "ready" if document["status"] == "ready" else f"waiting for {', '.join(document['waiting_for'])}"
    except (ValueError, LookupError, TypeError):
        return "no answer"


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
    if record.expires_at is None:
        return ""
    at = f"{record.expires_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"expires at {at}; after that" if record.is_live(clock.now()) else f"expired at {at};"
