"""The only I/O: run a program through httpx, blocking or awaited; every failure of a request becomes data.

An error of httpx refers to its request, whose headers hold the API key, so only its text is kept. The key is put in
here and nowhere before: what reports errors with the variables of every frame finds none.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

import httpx

from harbor_orders_client.transport.session import Session
from harbor_orders_client.transport.wire import Finished, NoReply, Pause, Program, Reply, Send, advance

T = TypeVar("T")
_NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


def run(program: Program[T], http: httpx.Client, session: Session, sleep: Callable[[float], None]) -> T:
    """Run a program to its end. Return its result, raise what it raises."""
    step = advance(program, None)
    while not isinstance(step, Finished):
        if isinstance(step, Pause):
            sleep(step.seconds)
            step = advance(program, None)
        else:
            step = advance(program, _exchange(http, session, step))
    return step.result


async def run_async(
    program: Program[T], http: httpx.AsyncClient, session: Session, sleep: Callable[[float], Awaitable[None]]
) -> T:
    """Run a program to its end. Return its result, raise what it raises."""
    step = advance(program, None)
    while not isinstance(step, Finished):
        if isinstance(step, Pause):
            await sleep(step.seconds)
            step = advance(program, None)
        else:
            step = advance(program, await _exchange_async(http, session, step))
    return step.result


def _exchange(http: httpx.Client, session: Session, send: Send) -> Reply | NoReply:
    try:
        return _reply(http.request(**_arguments(session, send)))
    except httpx.RequestError as error:
        return _no_reply(error, session.base_url(send.request))


async def _exchange_async(http: httpx.AsyncClient, session: Session, send: Send) -> Reply | NoReply:
    try:
        return _reply(await http.request(**_arguments(session, send)))
    except httpx.RequestError as error:
        return _no_reply(error, session.base_url(send.request))


def _arguments(session: Session, send: Send) -> Mapping[str, Any]:
    """Return the arguments of httpx. Redirects are not followed: the key is for these addresses alone."""
    return {
        "method": send.request.method,
        "url": session.base_url(send.request) + send.request.path,
        "params": dict(send.request.query) or None,
        "content": send.request.content,
        "headers": {**send.headers, "authorization": f"Bearer {session.api_key}"},
        "timeout": send.timeout_s,
        "follow_redirects": False,
    }


def _reply(response: httpx.Response) -> Reply:
    return Reply(response.status_code, dict(response.headers), response.content)


def _no_reply(error: httpx.RequestError, address: str) -> NoReply:
    if isinstance(error, _NEVER_SENT):
        return NoReply(f"cannot reach {address} ({_cause(error)})", was_sent=False)
    if isinstance(error, httpx.TimeoutException):
        return NoReply(f"no response from {address} in time", was_sent=True)
    return NoReply(f"{address} broke off the connection ({_cause(error)})", was_sent=True)


def _cause(error: BaseException) -> str:
    """Return why there was no connection, in the words of the operating system where it has any."""
    if isinstance(error, httpx.TimeoutException):
        return "no response in time"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno) if cause.errno > 0 else "no such host"
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
