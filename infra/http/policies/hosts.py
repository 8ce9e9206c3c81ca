"""Which hosts a service answers to; any, unless the operator names them."""

from collections.abc import Collection
from collections.abc import Set as AbstractSet

from starlette.types import ASGIApp, Receive, Scope, Send

from infra.http.problems import HOST_NOT_SERVED, Problem


class TrustedHosts:
    """ASGI, around the routes: refuses a request for any other host than `hosts`.

    `hosts` are names without a port, or `*.example.com` for every name below `example.com`. `exempt` are the addresses
    of probes, which know a process by its IP address.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], exempt: AbstractSet[str]) -> None:
        self._app = app
        self._exempt = exempt
        self._names = frozenset(hosts)
        self._suffixes = tuple(host[1:] for host in hosts if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises:
            Problem: 421; it is for another host, or by HTTP/1.0 for none.
        """
        if scope["type"] == "http" and scope["path"] not in self._exempt:
            host = name_of(scope["state"]["context"].header(b"host") or "")
            if host not in self._names and not host.endswith(self._suffixes or ("\0",)):
                raise Problem(HOST_NOT_SERVED)
        await self._app(scope, receive, send)


def name_of(host: str) -> str:
    """Return the name in a Host header, in lower case: without the port, and without the dot that may end it."""
    end = host.find("]") + 1 if host.startswith("[") else host.find(":")
    return (host if end <= 0 else host[:end]).lower().removesuffix(".")
