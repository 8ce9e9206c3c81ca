"""What `status` tells: each process of the running stack, where it answers, and whether it does its work."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import psutil

from infra.local.addresses import shown
from infra.local.home import AlreadyRunsError, Home
from infra.local.key_notice import notice
from infra.local.probe import answer

_ANSWER_S = 1.0
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
    states, said = asyncio.run(_looked_at(urls, facts["postgres"], key))
    rows = [_COLUMNS]
    for name, process in facts["processes"].items():
        pid, where = str(process["pid"] or "-"), (states.get(name, "-"), urls.get(name, "-"), facts["logs"][name])
        rows.append((name, pid, str(process["restarts"]), _memory_mb(process["pid"]), *where))
    addresses = ("postgres", "redis", "kafka", "data_dir")
    lines = [f"{name:12}  {shown(facts[name]) if facts[name] else 'none'}" for name in addresses]
    return [*_table(rows), *lines, f"{'test API key':12}  {key}{f'  ({said})' if said else ''}"]


async def _looked_at(urls: Mapping[str, str], admin_url: str, key: str) -> tuple[dict[str, str], str]:
    """Ask all of them at once, and the database about the key: one that hangs keeps nobody waiting for the others."""
    states, said = await asyncio.gather(asyncio.gather(*map(_state, urls.values())), notice(admin_url, key))
    return dict(zip(urls, states, strict=True)), said


async def _state(url: str) -> str:
    parts = urlsplit(url)
    found = await answer((parts.hostname or "", parts.port or 80), "/readyz", _ANSWER_S)
    try:
        document: dict[str, Any] = json.loads(found[1]) if found else {}
        return "ready" if document["status"] == "ready" else f"waiting for {', '.join(document['waiting_for'])}"
    except (ValueError, LookupError, TypeError):
        return "no answer"


def _table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if 0 < at < 4 else cell.ljust(width)  # noqa: PLR2004  # the numbers
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _memory_mb(pid: int | None) -> str:
    """Return the resident memory of a process and its children; of one that is about to start again there is none."""
    if pid is None:  # to psutil that would be this process
        return "-"
    try:
        process = psutil.Process(pid)
        total = sum(each.memory_info().rss for each in [process, *process.children(recursive=True)])
    except psutil.Error:
        return "-"
    return f"{total / 1e6:.0f} MB"
