"""The one ASGI middleware in front of every route (decision 0050).

    server -> check the head -> admit -> deadline -> routes -> problem document for anything raised -> server

It assigns each request an id, refuses what `infra.http.guards` refuses, bounds how many requests are handled at once
and for how long, turns every exception into a problem document, adds the response headers, and writes one log line.
"""

import asyncio
import re
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra import clock
from infra.deadlines import Deadlines
from infra.http import guards
from infra.http.addresses.elsewhere import Elsewhere
from infra.http.admission import Admission, Admitted
from infra.http.context import RequestContext, accepted_request_id, accepted_traceparent
from infra.http.guards import Limits
from infra.http.metrics import UNMATCHED, HttpMetrics
from infra.http.pages.errors import page_of
from infra.http.pages.page import PAGE_HEADERS
from infra.http.policies.accepted import accepts_gzip, prefers_html
from infra.http.policies.compression import GzipSend
from infra.http.problems import (
    DEADLINE_EXCEEDED,
    INTERNAL_ERROR,
    MALFORMED_REQUEST,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    OVERLOADED,
    PROBLEM_JSON,
    STORE_UNAVAILABLE,
    Problem,
    render,
    request_urn,
)
from infra.http.validation import validation_problem
from infra.ids import UUID_PATTERN
from infra.observability.logs import get_logger, wide_line
from infra.security.api_keys import KEY_ID

Translate = Callable[[Exception], Problem | None]
"""A service's own errors as problems; None: not one of its own."""

OPS_PATHS: Final = frozenset({"/livez", "/readyz", "/health", "/metrics"})
"""Served even when the service is full: an operator must see it, and a supervisor must not restart it."""

_UNKNOWN_ADDRESS: Final = "There is nothing here; / shows what there is."
_SLASH_AT_THE_END: Final = "No address here ends with a slash; leave it out."
_PAGE_HEADERS: Final = (
    (b"content-type", b"text/html; charset=utf-8"),
    *((name.encode(), value.encode()) for name, value in PAGE_HEADERS.items()),
)
_NO_STORE: Final = (b"cache-control", b"no-store")
_NO_SNIFF: Final = (b"x-content-type-options", b"nosniff")
_CLIENT_GONE: Final = 499
_STACK_FRAMES: Final = 8
_ID: Final = re.compile(f"{UUID_PATTERN}|{KEY_ID}", re.ASCII)
"""Of an order, an endpoint, a delivery; of an API key."""


class RequestMiddleware:
    """ASGI middleware. `translate` maps a service's own exceptions.

    `elsewhere` knows what the other service takes. `gzip_min_bytes`: the smallest response that is compressed; 0: none.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        metrics: HttpMetrics,
        translate: Translate,
        elsewhere: Elsewhere,
        gzip_min_bytes: int = 0,
    ) -> None:
        self._app = app
        self._limits = limits
        self._deadlines = Deadlines(limits.deadline_s)
        self._metrics = metrics
        self._log = get_logger()
        self._write_line = wide_line()
        self._translate = translate
        self._elsewhere = elsewhere
        self._gzip_min_bytes = gzip_min_bytes
        self._admission = Admission(limits)
        metrics.in_flight = lambda: self._admission.count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; never raises for it, so the server never responds on its own."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = guards.read_head(scope)
        context = _open(scope, head.single)
        response = _Response(scope, context, send)
        refusal = guards.check(scope, head, self._limits)
        if refusal is None and self._admission.is_full and scope["path"] not in OPS_PATHS:
            refusal = Problem(OVERLOADED)
        if refusal is not None:
            await response.refuse(refusal)
            self._finish(response)
            return
        admitted = Admitted(self._admission, receive)
        try:
            await self._serve(scope, admitted.receive, response)
        finally:
            admitted.leave()
            self._finish(response)

    async def _serve(self, scope: Scope, receive: Receive, response: "_Response") -> None:
        deadline = self._deadlines.limit()
        try:
            with deadline:
                await self._app(scope, receive, self._sender(response))
        except asyncio.CancelledError:  # the process is cut off, and the server would respond in words of its own
            if not response.started:
                await response.refuse(Problem(DEADLINE_EXCEEDED, headers={"connection": "close"}))
            raise
        except Exception as error:  # the last place that can respond
            if response.started:
                response.fail(error)
                raise  # the response is cut: only closing the connection shows that to the client
            problem = Problem(DEADLINE_EXCEEDED) if deadline.expired else self._problem(error, scope, response)
            if problem is not None:
                await response.refuse(problem)

    def _sender(self, response: "_Response") -> Send:
        accepted = response.context.headers.get(b"accept-encoding")
        if accepted is not None and self._gzip_min_bytes and accepts_gzip(accepted):
            return GzipSend(response.send, self._gzip_min_bytes)
        return response.send

    def _problem(self, error: Exception, scope: Scope, response: "_Response") -> Problem | None:
        match error:
            case Problem():
                return error
            case HTTPException():
                return _http_problem(error, scope, self._elsewhere)
            case RequestValidationError():
                return validation_problem(error, scope["route"])
            case ClientDisconnect():
                response.status = _CLIENT_GONE
                return None
        translated = self._translate(error)
        if translated is not None:
            return translated
        response.fail(error)
        return Problem(STORE_UNAVAILABLE if isinstance(error, OSError) else INTERNAL_ERROR)

    def _finish(self, response: "_Response") -> None:
        scope, context = response.scope, response.context
        duration_s = clock.monotonic_s() - context.started_s
        path = scope["path"]
        is_ops = path in OPS_PATHS
        route = path if is_ops else getattr(scope.get("route"), "path", UNMATCHED)
        self._metrics.observe(route, scope["method"], response.status, duration_s)
        fields = {
            "request_id": context.request_id,
            "method": scope["method"],
            "route": route,
            "status": response.status,
            "duration_ms": round(duration_s * 1000, 3),
            **context.log_fields,
        }
        if b"traceparent" in context.headers and (trace := accepted_traceparent(context.header(b"traceparent"))):
            fields["traceparent"] = trace
        with suppress(OSError, ValueError):  # standard output was closed: the response still counts
            if is_ops:
                self._log.debug(context.log_event, **fields)
            else:
                self._write_line(context.log_event, fields)


class _Response:
    """The response to one request: adds the headers that all have, and remembers whether it has started."""

    __slots__ = ("_is_head", "_send", "context", "scope", "started", "status")

    def __init__(self, scope: Scope, context: RequestContext, send: Send) -> None:
        self.scope = scope
        self.context = context
        self._send = send
        self._is_head = scope["method"] == "HEAD"
        self.started = False
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            context = self.context
            headers = [*message["headers"], (b"x-request-id", context.request_id.encode("ascii")), _NO_SNIFF]
            headers += context.response_headers
            for name, _ in headers:
                if name == b"cache-control":
                    break
            else:
                headers.append(_NO_STORE)
            message["headers"] = headers
        elif self._is_head:  # the same head as for GET, and no body
            message["body"] = b""
        await self._send(message)

    async def refuse(self, problem: Problem) -> None:
        self.context.log_fields["code"] = problem.kind.code
        if _is_for_people(self.scope, self.context):
            body, headers = page_of(problem, self.context.request_id), [*_PAGE_HEADERS]
        else:
            body = render(problem, _instance(self.scope, self.context.request_id), self.context.request_id)
            headers = [(b"content-type", PROBLEM_JSON)]
        headers.append((b"content-length", str(len(body)).encode("ascii")))
        headers.extend((name.encode("ascii"), value.encode("latin-1")) for name, value in problem.headers.items())
        await self.send({"type": "http.response.start", "status": problem.kind.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def fail(self, error: Exception) -> None:
        """Put the place of an unexpected error, never its message (it may hold data), on the log line."""
        frames = traceback.extract_tb(error.__traceback__)[-_STACK_FRAMES:]
        self.context.log_fields["error"] = type(error).__name__
        self.context.log_fields["stack"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


def _open(scope: Scope, headers: dict[bytes, bytes]) -> RequestContext:
    context = RequestContext(
        request_id=accepted_request_id(headers.get(b"x-request-id")) or clock.new_id_text(),
        started_s=clock.monotonic_s(),
        headers=headers,
    )
    scope.setdefault("state", {})["context"] = context
    return context


def _is_for_people(scope: Scope, context: RequestContext) -> bool:
    """Return whether a browser asked for a page; the API answers programs, in JSON alone."""
    return not scope["path"].startswith("/api/") and prefers_html(context.headers.get(b"accept", b""))


def _instance(scope: Scope, request_id: str) -> str:
    """Return the address if it is one of ours and its parameters look like our ids, else the name of the request.

    A made-up address is never repeated: a response must not carry somebody else's script or secret.
    """
    parameters = scope.get("path_params") or {}
    if scope.get("route") is None or not all(_ID.fullmatch(str(each)) for each in parameters.values()):
        return request_urn(request_id)
    path: str = scope["path"]
    return path


def _http_problem(error: HTTPException, scope: Scope, elsewhere: Elsewhere) -> Problem:
    hint = elsewhere.hint(scope["method"], scope["path"])
    if error.status_code == METHOD_NOT_ALLOWED.status:
        detail = f"{METHOD_NOT_ALLOWED.detail} {hint}" if hint else None
        return Problem(METHOD_NOT_ALLOWED, detail, headers={"allow": ", ".join(_allowed_methods(scope))})
    if error.status_code == NOT_FOUND.status:
        if scope["path"][1:].endswith("/"):
            return Problem(NOT_FOUND, _SLASH_AT_THE_END)
        return Problem(NOT_FOUND, f"{_UNKNOWN_ADDRESS} {hint}" if hint else _UNKNOWN_ADDRESS)
    return Problem(MALFORMED_REQUEST)


def _allowed_methods(scope: Scope) -> list[str]:
    """Return the methods of every route at this address; the framework names only those of the first.

    The address of a route is never a parameter of another one, as in `infra.http.server.route_table`.
    """
    routes = [route for route in scope["app"].routes if route.matches(scope)[0] is not Match.NONE]
    own = [route for route in routes if getattr(route, "path", None) == scope["path"]]
    methods = {method for route in own or routes for method in getattr(route, "methods", None) or ()}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)
