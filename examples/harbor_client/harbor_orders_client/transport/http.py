"""The only I/O: one request through httpx, blocking or awaited, with the outcome as data.

An error of httpx refers to its request, whose headers hold the API key, so only its name and text are kept. The key is
put in here and nowhere before: what reports errors with the variables of every frame finds none.
"""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from harbor_orders_client.transport.session import Session
from harbor_orders_client.transport.wire import NoReply, Reply, Send

_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def exchange(http: httpx.Client, session: Session, send: Send) -> Reply | NoReply:
    """Send once and read the answer to its end."""
    try:
        return _reply(http.request(**_arguments(session, send)))
    except httpx.RequestError as error:
        return _no_reply(error)


async def exchange_async(http: httpx.AsyncClient, session: Session, send: Send) -> Reply | NoReply:
    """Send once and read the answer to its end."""
    try:
        return _reply(await http.request(**_arguments(session, send)))
    except httpx.RequestError as error:
        return _no_reply(error)


def _arguments(session: Session, send: Send) -> Mapping[str, Any]:
    """Redirects are not followed: the key is for these addresses alone."""
    return {
        "method": send.request.method,
        "url": session.url(send.request),
        "params": dict(send.request.query) or None,
        "content": send.request.content,
        "headers": {**send.headers, "authorization": f"Bearer {session.api_key}"},
        "timeout": send.timeout_s,
        "follow_redirects": False,
    }


def _reply(response: httpx.Response) -> Reply:
    return Reply(response.status_code, dict(response.headers), response.content)


def _no_reply(error: httpx.RequestError) -> NoReply:
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    return NoReply(text, was_sent=not isinstance(error, _NEVER_SENT))
