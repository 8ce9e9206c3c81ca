"""A partner's client: sends orders over HTTP, repeats unknown outcomes with the same key, keeps every response."""

import asyncio
import hashlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.demo.orders import Draft, Line
from tests.demo.stack import Stack
from tests.faults.checker import Outcome, Reply

REQUEST_TIMEOUT_S = 10.0
GIVE_UP_S = 120.0
RETRY_PAUSE_S = 0.2
UNKNOWN_FROM = 500
OK_BELOW = 300


@dataclass(frozen=True, slots=True)
class Response:
    """A definite response of the command service."""

    status: int
    body: Any
    token: str
    version: int


@dataclass(slots=True)
class Ledger:
    """Everything the partner saw."""

    replies: list[Reply] = field(default_factory=list)
    documents: dict[str, Any] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    refused_lines: list[tuple[str, str]] = field(default_factory=list)
    refused_orders: int = 0
    create_ms: list[float] = field(default_factory=list)
    visible_ms: list[float] = field(default_factory=list)


class GaveUpError(Exception):
    """A request stayed unknown for too long."""


class Partner:
    """Sends one order at a time through its life; many of these run side by side."""

    def __init__(self, stack: Stack, session: aiohttp.ClientSession, ledger: Ledger, run: str) -> None:
        self._stack = stack
        self._session = session
        self._ledger = ledger
        self._run = run

    async def place(self, draft: Draft, number: int) -> None:
        """Create the order and drive it: 6 of 10 are captured, 1 canceled, 1 stays authorized, 2 pending."""
        created = await self._create(draft)
        if created is None:
            return
        order_id = str(created.body["id"])
        await self._until_visible(order_id, created.token)
        match number % 10:
            case 0 | 1 | 2 | 3 | 4:
                await self._change(order_id, "POST", "/authorize", None)
                await self._change(order_id, "POST", "/captures", {})
            case 5:
                await self._change(order_id, "PATCH", "/status", {"status": "authorized"})
                await self._change(order_id, "PATCH", "/status", {"status": "captured"})
            case 6:
                await self._change(order_id, "POST", "/cancel", {"reason": "customer changed their mind"})
            case 7:
                await self._change(order_id, "POST", "/authorize", None)
            case _:
                pass

    async def _create(self, draft: Draft) -> Response | None:
        """Send the order; take out the lines that are refused, count each with its reason, send the rest."""
        lines = draft.lines
        key = f"{self._run}-{draft.name}"
        while lines:
            started = time.perf_counter()
            response = await self._send("POST", "/api/v1/orders", key, draft.body(lines), creates=True)
            if response.status < OK_BELOW:
                self._ledger.create_ms.append((time.perf_counter() - started) * 1000)
                return response
            bad = _refused_lines(response.body)
            if not bad:
                self._ledger.refused[str(response.body.get("code"))] += 1
                break
            for index, code in bad.items():
                self._ledger.refused[code] += 1
                self._ledger.refused_lines.append((lines[index].source, code))
            lines = _without(lines, set(bad))
        self._ledger.refused_orders += 1
        return None

    async def _change(self, order_id: str, method: str, path: str, body: object) -> None:
        key = f"{self._run}-{order_id}{path}-{body}".replace(" ", "_")
        response = await self._send(method, f"/api/v1/orders/{order_id}{path}", key, body, creates=False)
        if response.status >= OK_BELOW:
            self._ledger.refused[str(response.body.get("code"))] += 1

    async def _send(self, method: str, path: str, key: str, body: object, *, creates: bool) -> Response:
        """Send until the response is definite; the same key makes every repeat harmless.

        Raises:
            GaveUpError: still unknown after two minutes.
        """
        deadline = time.monotonic() + GIVE_UP_S
        headers = self._stack.authorization | {"Idempotency-Key": key}
        while time.monotonic() < deadline:
            try:
                url = self._stack.command_api + path
                async with self._session.request(method, url, json=body, headers=headers) as response:
                    raw = await response.read()
                    if response.status < UNKNOWN_FROM:
                        return self._remember(response, raw, key, creates=creates)
            except (aiohttp.ClientError, TimeoutError):
                pass
            self._ledger.replies.append(Reply(key, Outcome.UNKNOWN, creates=creates))
            await asyncio.sleep(RETRY_PAUSE_S)
        raise GaveUpError(f"{method} {path}: no definite response for {GIVE_UP_S:.0f} s")

    def _remember(self, response: aiohttp.ClientResponse, raw: bytes, key: str, *, creates: bool) -> Response:
        body = json.loads(raw)
        version = int(response.headers.get("ETag", '"0"').strip('"'))
        if response.status < OK_BELOW:
            digest = hashlib.sha256(raw).hexdigest()
            order_id = str(body["id"])
            self._ledger.replies.append(Reply(key, Outcome.OK, order_id, version, digest, creates))
            self._ledger.documents[order_id] = body
        return Response(response.status, body, response.headers.get("Consistency-Token", ""), version)

    async def _until_visible(self, order_id: str, token: str) -> None:
        """Read the order from the query service, with the token, until it is there; note how long that took."""
        started = time.perf_counter()
        deadline = time.monotonic() + GIVE_UP_S
        headers = self._stack.authorization | {"Consistency-Token": token}
        while time.monotonic() < deadline:
            try:
                url = f"{self._stack.query_api}/api/v1/orders/{order_id}"
                async with self._session.get(url, headers=headers) as response:
                    await response.read()
                    if response.status == 200:  # HTTP OK
                        self._ledger.visible_ms.append((time.perf_counter() - started) * 1000)
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(RETRY_PAUSE_S)
        raise GaveUpError(f"order {order_id} did not become visible for {GIVE_UP_S:.0f} s")


def _refused_lines(problem: Any) -> dict[int, str]:
    """Return {line index: code} from the JSON pointers of a 422."""
    found: dict[int, str] = {}
    for error in problem.get("errors", []):
        parts = str(error["pointer"]).split("/")
        if parts[1:2] == ["lines"] and len(parts) > 2:  # "", "lines", index
            found.setdefault(int(parts[2]), str(error["code"]))
    return found


def _without(lines: tuple[Line, ...], indexes: set[int]) -> tuple[Line, ...]:
    return tuple(line for index, line in enumerate(lines) if index not in indexes)
