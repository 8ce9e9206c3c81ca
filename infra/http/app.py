"""Builds an HTTP service: its routes behind the request middleware, health, metrics, offline documentation.

    app = build_app(title=..., routers=[orders.router], lifespan=lifespan, limits=..., translate=...)

The lifespan yields a `ServiceState` (a service adds its own keys); handlers find it on `request.state`. It must not
wait for a database that is down: the service starts, responds on /livez, and says on /readyz what it waits for.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypedDict

import orjson
from fastapi import APIRouter, FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.http.addresses import Services
from infra.http.addresses.elsewhere import Elsewhere
from infra.http.auth import Authenticator
from infra.http.cursors import Cursors
from infra.http.guards import Limits
from infra.http.json_body import BodyLimits
from infra.http.metrics import HttpMetrics
from infra.http.middleware import OPS_PATHS, RequestMiddleware, Translate
from infra.http.openapi import response_examples
from infra.http.openapi.docs_page import docs_routes
from infra.http.openapi.document import HEADERS, Webhooks, completed
from infra.http.openapi.response_examples import ResponseExamples
from infra.http.openapi.servers import servers
from infra.http.pages.errors import error_routes
from infra.http.pages.home import home_route
from infra.http.policies.cross_origin import CrossOrigin, Preflight
from infra.http.policies.hosts import TrustedHosts
from infra.http.problems import ProblemType
from infra.http.server.route_table import RouteTable
from infra.observability.health import Health, ReadyCheck, liveness, readiness, state_of_health
from infra.settings import PublicSettings

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]]

PUBLIC_PATHS: Final = OPS_PATHS | {"/", "/docs", "/docs/{name}", "/openapi.json", "/errors", "/errors/{code}"}
"""The only addresses without an API key."""


class ServiceState(TypedDict):
    """What every service's lifespan yields."""

    authenticator: Authenticator
    ready: ReadyCheck
    bodies: BodyLimits
    cursors: Cursors


class ServiceApp(FastAPI):
    """FastAPI with our request middleware instead of its own error and telemetry layers."""

    def __init__(
        self,
        *,
        middleware: Callable[[ASGIApp], ASGIApp],
        examples: Callable[[], ResponseExamples],
        problems: Sequence[ProblemType],
        described: Webhooks | None = None,
        **options: Any,
    ) -> None:
        super().__init__(webhooks=None if described is None else described.router, **options)
        self._described = described
        self._examples = examples
        self._problems = problems
        self._middleware = middleware
        self._stack: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve through the middleware, past the wrappers of the framework that have nothing to do here."""
        if self._stack is None:
            self._stack = self.build_middleware_stack()
        scope["app"] = self
        await self._stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        """Put the middleware around the routes; FastAPI needs its exit stack around every request that it serves."""
        return self._middleware(RouteTable(self.router.routes, AsyncExitStackMiddleware(self.router)))

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, completed with what FastAPI does not know."""
        if self.openapi_schema is None:
            routes = [route for route in self.routes if isinstance(route, APIRoute)]
            document = completed(super().openapi(), routes, self._problems, self._described)
            self.openapi_schema = response_examples.show(document, self._examples())
        return self.openapi_schema


def build_app(
    *,
    title: str,
    description: str,
    routers: Sequence[APIRouter],
    lifespan: Lifespan,
    limits: Limits,
    translate: Translate,
    services: Services,
    public: PublicSettings,
    problems: Sequence[ProblemType] = (),
    registry: CollectorRegistry | None = None,
    webhooks: Webhooks | None = None,
    examples: Callable[[], ResponseExamples] = dict,
) -> ServiceApp:
    """Return the application of one service.

    Args:
        title: of the OpenAPI document and the page.
        description: of the API, Markdown.
        routers: routes with full paths (`/api/v1/orders`), each of which declares its scope with `requires`.
        lifespan: opens what the service needs; yields `ServiceState`.
        limits: requests at once, seconds and bytes per request.
        translate: the service's own exceptions as problems.
        services: this service and the other one, as clients reach them.
        public: which pages and hosts may be used, whether there are API pages, what is compressed.
        problems: what the service responds with, for the document only.
        registry: where the service counts; a new one when None.
        webhooks: what is sent to clients, for the document only.
        examples: returns what the responses to the examples of requests are, for the document.
    """
    metrics = HttpMetrics(registry if registry is not None else CollectorRegistry())
    app = ServiceApp(
        middleware=lambda routes: _in_front(
            RequestMiddleware(
                _around(routes, public),
                limits=limits,
                metrics=metrics,
                translate=translate,
                elsewhere=Elsewhere(services.other),
                gzip_min_bytes=public.gzip_min_bytes,
            ),
            public,
        ),
        examples=examples,
        problems=problems,
        title=title,
        description=description,
        version="1",
        servers=servers(services.own),
        lifespan=lifespan,
        described=webhooks,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False},
    )
    app.state.metrics = metrics
    # Not include_router: it walks a second router for every request and hides the route template from the metrics.
    for router in routers:
        app.router.routes.extend(router.routes)
    app.router.routes.extend([*_ops_routes(metrics), *error_routes()])
    if public.docs_enabled:
        app.router.routes.extend([_openapi_route(app), *docs_routes(title, services, app.openapi)])
    app.router.routes.append(home_route(title, services, app.router.routes))
    return app


def _around(routes: ASGIApp, public: PublicSettings) -> ASGIApp:
    """Put around the routes what refuses requests for others; what is not asked for costs nothing."""
    if public.cors_origins:
        routes = Preflight(routes, public.cors_origins)
    if public.trusted_hosts:
        routes = TrustedHosts(routes, public.trusted_hosts, OPS_PATHS)
    return routes


def _in_front(middleware: ASGIApp, public: PublicSettings) -> ASGIApp:
    return CrossOrigin(middleware, public.cors_origins, tuple(HEADERS)) if public.cors_origins else middleware


def _openapi_route(app: FastAPI) -> Route:
    async def openapi(_request: Request) -> Response:
        return Response(orjson.dumps(app.openapi()), media_type="application/json")

    return Route("/openapi.json", openapi)


def _ops_routes(metrics: HttpMetrics) -> list[Route]:
    async def livez(_request: Request) -> Response:
        return _health(liveness())

    async def readyz(request: Request) -> Response:
        return _health(readiness(await request.state.ready()))

    async def health(request: Request) -> Response:
        return _health(state_of_health(await request.state.ready()))

    async def exposition(_request: Request) -> Response:
        return Response(generate_latest(metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return [
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/health", health),
        Route("/metrics", exposition),
    ]


def _health(health: Health) -> Response:
    return Response(health.body, status_code=health.status, headers=health.headers)
