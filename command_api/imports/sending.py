"""Sends a slice until the outcome of every order in it is known: the same keys again, as often as it takes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import aiohttp
import orjson

from command_api.imports.lines import OrderLine
from command_api.imports.slices import body_of
from infra import clock

BATCH_PATH: Final = "/api/v1/orders/batch"
_ANSWERED: Final = 207
_UNKNOWN_FROM: Final = 500
_REFUSED_FROM: Final = 400
_RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_PAUSE_S: Final = 15.0
_LONGEST_RETRY_AFTER_S: Final = 120.0


class AbortError(Exception):
    """The import cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one order: there now (`problem` is None), or refused with a problem document."""

    line: OrderLine
    status: int
    replayed: bool
    problem: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds without any progress after which the import gives up, and of the first pause between two attempts."""

    give_up_s: float
    first_pause_s: float = 0.25


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer to a request: its status, seconds to wait when it says so, its document."""

    status: int
    retry_after_s: float | None
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Give the code in it, or the status."""
        return f"{self.status} {self.document.get('code', '')}".strip()


class Service(Protocol):
    """Takes the body of a batch; raises `OSError` when it cannot be reached and `TimeoutError` when it is late."""

    async def post(self, body: bytes) -> Reply:
        """Send a batch."""
        ...


class HttpService:
    """The command service behind its address. `timeout_s` is the deadline of each request."""

    def __init__(self, session: aiohttp.ClientSession, url: str, api_key: str, timeout_s: float) -> None:
        self._session = session
        self._url = url.rstrip("/") + BATCH_PATH
        self._headers = {"authorization": f"Bearer {api_key}", "content-type": "application/json"}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def post(self, body: bytes) -> Reply:
        """Send a batch; a redirect is not followed, the key is for this address alone."""
        try:
            async with self._session.post(
                self._url, data=body, headers=self._headers, timeout=self._timeout, allow_redirects=False
            ) as answer:
                content = await answer.read()
                return Reply(answer.status, _seconds(answer.headers.get("retry-after")), _document(content))
        except aiohttp.ClientError as error:
            raise ConnectionError(str(error) or type(error).__name__) from error


async def settle(service: Service, orders: Sequence[OrderLine], patience: Patience) -> list[Outcome]:
    """Send orders until the outcome of each is known.

    Raises:
        AbortError: the service refuses the request as such, or did not answer usefully for too long.
    """
    outcomes: list[Outcome] = []
    left, pause_s = list(orders), patience.first_pause_s
    deadline_s = clock.monotonic_s() + patience.give_up_s
    while left:
        reply = await _reply(service, left)
        if reply.status == _ANSWERED:
            known = _outcomes(left, reply)
            left = [each.line for each in known if each.status >= _UNKNOWN_FROM]
            if len(left) < len(known):
                pause_s, deadline_s = patience.first_pause_s, clock.monotonic_s() + patience.give_up_s
            outcomes += [each for each in known if each.status < _UNKNOWN_FROM]
            if not left:
                break
        elif reply.status and reply.status not in _RETRIED:
            raise AbortError(f"the service answers {reply.reason}: {_advice(reply)}")
        if clock.monotonic_s() > deadline_s:
            raise AbortError(f"no progress for {patience.give_up_s:g} s; the last answer was: {reply.reason}")
        await asyncio.sleep(pause_s if reply.retry_after_s is None else max(reply.retry_after_s, pause_s))
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
    return outcomes


def _advice(reply: Reply) -> str:
    detail = str(reply.document.get("detail", "not understood"))
    most = reply.document.get("max_commands")
    return detail if most is None else f"{detail} Use --batch {most}"


async def _reply(service: Service, orders: list[OrderLine]) -> Reply:
    """Give the reply; status 0 when there was none, which leaves everything unknown."""
    try:
        return await service.post(body_of(orders))
    except TimeoutError:
        return Reply(0, None, {"code": "no answer in time"})
    except OSError as error:
        return Reply(0, None, {"code": str(error)})


def _outcomes(orders: list[OrderLine], reply: Reply) -> list[Outcome]:
    try:
        return [
            Outcome(line, result["status"], result["replayed"], _problem(result))
            for line, result in zip(orders, reply.document["results"], strict=True)
        ]
    except (KeyError, TypeError, ValueError):
        raise AbortError("the service answers something that is no answer to a batch") from None


def _problem(result: dict[str, Any]) -> dict[str, Any] | None:
    return result["body"] if result["status"] >= _REFUSED_FROM else None


def _seconds(header: str | None) -> float | None:
    return min(float(header), _LONGEST_RETRY_AFTER_S) if header is not None and header.isdecimal() else None


def _document(content: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
