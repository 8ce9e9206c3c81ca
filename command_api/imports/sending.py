"""Sends a slice until the outcome of every order in it is known: the same keys again, as often as it takes."""

import asyncio
import os
from collections.abc import Callable, Sequence
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
_NO_SUCH_PLACE: Final = frozenset({404, 405})
_CONNECT_S: Final = 10.0
_LONGEST_PAUSE_S: Final = 15.0
_LONGEST_RETRY_AFTER_S: Final = 120.0


class AbortError(Exception):
    """The import cannot go on; the message says why. It may be run again."""


class WrongPlaceError(AbortError):
    """Nothing there takes batches; running it again would not help."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one order: there now (`problem` is None), or refused with a problem document."""

    line: OrderLine
    status: int
    replayed: bool
    problem: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds without progress after which the import gives up.

    `unreached_s` holds while the service was never reached; `first_pause_s` is the first pause between two attempts.
    """

    give_up_s: float
    unreached_s: float
    first_pause_s: float = 0.25


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer to a request: its status, seconds to wait when it says so, its document."""

    status: int
    retry_after_s: float | None
    document: dict[str, Any] = field(default_factory=dict)
    is_reached: bool = True

    @property
    def reason(self) -> str:
        """Return its status and the code in it; of no answer, why there is none."""
        code = str(self.document.get("code", ""))
        return f"{self.status} {code}".strip() if self.status else code


@dataclass(slots=True)
class Contact:
    """What all slices of an import know of the service together; `say` is told when there is no answer."""

    say: Callable[[str], None] = lambda _line: None
    is_reached: bool = False
    _is_told: bool = False

    def patience_s(self, patience: Patience) -> float:
        """Return after how many seconds to give up, as far as is known now."""
        return patience.give_up_s if self.is_reached else min(patience.unreached_s, patience.give_up_s)

    def note(self, reply: Reply, patience: Patience) -> None:
        """Take notice of an attempt; the first one in a row without an answer is told."""
        self.is_reached = self.is_reached or reply.is_reached
        if not reply.status and not self._is_told:
            hint = "" if reply.is_reached else " (is it up? make up DETACH=1)"
            self.say(f"{reply.reason}; trying for {self.patience_s(patience):g} s{hint}")
        self._is_told = not reply.status


class Service(Protocol):
    """Takes the body of a batch.

    Raises `ConnectionResetError` when it breaks off, `TimeoutError` when it is late, other `OSError`s when it cannot be
    reached.
    """

    async def post(self, body: bytes) -> Reply:
        """Send a batch."""
        ...


class HttpService:
    """The command service behind its address. `timeout_s` is the deadline of each request."""

    def __init__(self, session: aiohttp.ClientSession, url: str, api_key: str, timeout_s: float) -> None:
        self._session = session
        self._address = url
        self._url = url + BATCH_PATH
        self._headers = {"authorization": f"Bearer {api_key}", "content-type": "application/json"}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(timeout_s, _CONNECT_S))

    async def post(self, body: bytes) -> Reply:
        """Send a batch; a redirect is not followed, the key is for this address alone."""
        try:
            async with self._session.post(
                self._url, data=body, headers=self._headers, timeout=self._timeout, allow_redirects=False
            ) as answer:
                content = await answer.read()
                return Reply(answer.status, _seconds(answer.headers.get("retry-after")), _document(content))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise ConnectionError(f"cannot reach {self._address} ({_cause(error)})") from error
        except aiohttp.ClientError as error:
            raise ConnectionResetError(f"{self._address} breaks off ({str(error) or type(error).__name__})") from error


async def settle(
    service: Service, orders: Sequence[OrderLine], patience: Patience, contact: Contact | None = None
) -> list[Outcome]:
    """Send orders until the outcome of each is known; `contact` is shared by all that are sent at once.

    Raises:
        AbortError: the service refuses the request as such, or did not answer usefully for too long.
    """
    outcomes: list[Outcome] = []
    contact = contact or Contact()
    left, pause_s = list(orders), patience.first_pause_s
    since_s = clock.monotonic_s()
    while left:
        reply = await _reply(service, left)
        contact.note(reply, patience)
        if reply.status == _ANSWERED:
            known = _outcomes(left, reply)
            left = [each.line for each in known if each.status >= _UNKNOWN_FROM]
            if len(left) < len(known):
                pause_s, since_s = patience.first_pause_s, clock.monotonic_s()
            outcomes += [each for each in known if each.status < _UNKNOWN_FROM]
            if not left:
                break
        elif reply.status and reply.status not in _RETRIED:
            raise _refusal(reply)
        if clock.monotonic_s() - since_s > (patient_s := contact.patience_s(patience)):
            raise AbortError(f"no progress for {patient_s:g} s: {reply.reason}")
        await asyncio.sleep(pause_s if reply.retry_after_s is None else max(reply.retry_after_s, pause_s))
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
    return outcomes


def _refusal(reply: Reply) -> AbortError:
    told = f"the service answers {reply.reason}: {reply.document.get('detail', 'not understood')}"
    most = reply.document.get("max_commands")
    if reply.status in _NO_SUCH_PLACE:
        return WrongPlaceError(told)
    return AbortError(told if most is None else f"{told} Use --batch {most}")


def _cause(error: aiohttp.ClientError) -> str:
    """Return why there was no connection, in the words of the operating system."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "no such host"
        case aiohttp.ClientConnectorError(errno=int(number)) if number > 0:
            return os.strerror(number)
        case aiohttp.ConnectionTimeoutError():
            return "no answer"
    return "no connection"


async def _reply(service: Service, orders: list[OrderLine]) -> Reply:
    """Return the reply; status 0 when there was none, which leaves everything unknown."""
    try:
        return await service.post(body_of(orders))
    except TimeoutError:
        return Reply(0, None, {"code": "no answer in time"})
    except OSError as error:
        return Reply(0, None, {"code": str(error)}, is_reached=isinstance(error, ConnectionResetError))


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
