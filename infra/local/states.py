"""How each process and server of a running stack is: asked by a real round trip, each within a deadline."""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import asyncpg
import psutil
from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra import clock
from infra.local.probe import response
from infra.local.readiness import codes_of
from infra.local.servers.kafka import count_brokers

LIVE_S: Final = 10.0
"""For a process that lives: on a loaded machine a healthy one may take seconds."""
GONE_S: Final = 1.0
SLOW_S: Final = 1.0

Ask = Callable[[float], Awaitable[str]]
"""Return how it is, within so many seconds; raise `TimeoutError` or `OSError` if it does not answer."""


class Asked(NamedTuple):
    """Something to ask: how, and the process id where the stack started it; 0: the server is somebody else's."""

    ask: Ask
    pid: int | None


def everything(facts: Mapping[str, Any], urls: Mapping[str, str]) -> dict[str, Asked]:
    """Return by name whatever can be asked of the stack with these facts (`stack.json`).

    Args:
        facts: content of `stack.json`.
        urls: base addresses of the processes that serve /readyz.
    """
    asks = {name: _service(url) for name, url in urls.items()}
    asks |= {"postgres": _postgres(facts["postgres"]), "valkey": _valkey(facts["redis"])}
    if facts["kafka"]:
        asks["kafka"] = _kafka(facts["kafka"])
    processes = facts["processes"]
    return {name: Asked(ask, processes[name]["pid"] if name in processes else 0) for name, ask in asks.items()}


async def state(asked: Asked, live_s: float = LIVE_S, slow_s: float = SLOW_S) -> str:
    """Return how it is; a process that lives has `live_s` seconds to answer, and is slow from `slow_s` on."""
    if asked.pid is not None and is_frozen(asked.pid):
        return f"frozen (`kill -CONT {asked.pid}` lets it go on)"
    timeout_s = GONE_S if asked.pid is None else live_s
    began_s = clock.monotonic_s()
    try:
        async with asyncio.timeout(timeout_s):
            found = await asked.ask(timeout_s)
    except TimeoutError:
        return f"no answer in {timeout_s:g} s"
    except (OSError, EOFError, ValueError, struct.error, asyncpg.InterfaceError, RedisError):
        return "not running" if asked.pid is None else "no answer"
    except asyncpg.PostgresError as error:
        return f"refuses: {error}"
    took_s = clock.monotonic_s() - began_s
    return found if took_s < slow_s else f"{found}, slow: {took_s:.1f} s"


def is_frozen(pid: int) -> bool:
    """Return whether a signal (SIGSTOP) or a debugger has stopped the process."""
    try:
        return pid > 0 and psutil.Process(pid).status() in {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP}
    except psutil.Error:
        return False


def _service(url: str) -> Ask:
    parts = urlsplit(url)

    async def ask(timeout_s: float) -> str:
        # A little longer than the caller waits, who then knows that it was the time.
        found = await response((parts.hostname or "", parts.port or 80), "/readyz", timeout_s + 1)
        if found is None:
            raise ConnectionError
        codes = codes_of(found[1])
        if codes is None:
            return f"answers {found[0]}"
        return f"waiting for {', '.join(codes)}" if codes else "ready"

    return ask


def _postgres(url: str) -> Ask:
    async def ask(timeout_s: float) -> str:
        connection = await asyncpg.connect(url, timeout=timeout_s)
        try:
            await connection.fetchval("SELECT 1")
        finally:
            connection.terminate()
        return "ready"

    return ask


def _valkey(url: str) -> Ask:
    async def ask(timeout_s: float) -> str:
        client = Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
        async with client:
            await client.ping()
        return "ready"

    return ask


def _kafka(bootstrap_servers: str) -> Ask:
    host, _, port = bootstrap_servers.partition(",")[0].rpartition(":")

    async def ask(_timeout_s: float) -> str:
        return "ready" if await count_brokers(host.strip("[]"), int(port)) else "waiting for a broker"

    return ask
