"""Health and metrics port of the processes that serve no API: /livez, /readyz, /health, /metrics.

The responses are those of every process (`infra.observability.health`).
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

from infra.observability.health import Health, ReadyCheck, liveness, readiness, state_of_health
from infra.observability.logs import get_logger
from infra.settings import OpsSettings


class OpsServer:
    """Serves these paths while the context is open.

    ```python
    async with OpsServer(settings, ready) as ops:
        ...
    ```
    `port` is known once the context is open.
    """

    def __init__(self, settings: OpsSettings, ready: ReadyCheck, registry: CollectorRegistry = REGISTRY) -> None:
        self._settings = settings
        self._ready = ready
        self._registry = registry
        self.port = settings.port
        application = web.Application(middlewares=[_refuse])
        served = {"/livez": self._live, "/readyz": self._readiness, "/health": self._health, "/metrics": self._metrics}
        for path, respond in served.items():
            application.router.add_get(path, respond)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port)
        try:
            await site.start()
        except BaseException:
            await self._runner.cleanup()
            raise
        self.port = self._runner.addresses[0][1]
        get_logger().info("ops.listening", host=self._settings.host, port=self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _live(self, _request: web.Request) -> web.Response:
        return _response(liveness())

    async def _readiness(self, _request: web.Request) -> web.Response:
        return _response(readiness(await self._ready()))

    async def _health(self, _request: web.Request) -> web.Response:
        return _response(state_of_health(await self._ready()))

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


@web.middleware
async def _refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse with a problem document (RFC 9457), as the services do."""
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        allow = {"allow": refusal.headers["Allow"]} if "Allow" in refusal.headers else {}
        return _problem(refusal, "This port serves GET and HEAD of /livez, /readyz, /health and /metrics.", allow)
    except Exception:  # noqa: BLE001  # the library would respond in a text of its own
        get_logger().exception("ops.failed")
        return _problem(web.HTTPInternalServerError(), "Something went wrong here; the log says what.", {})


def _problem(error: web.HTTPException, detail: str, headers: Mapping[str, str]) -> web.Response:
    document = {"type": "about:blank", "title": error.reason, "status": error.status, "detail": detail}
    media_type = {"content-type": "application/problem+json"}
    return web.Response(status=error.status, headers=media_type | dict(headers), body=orjson.dumps(document))


def _response(health: Health) -> web.Response:
    return web.Response(status=health.status, headers=health.headers, body=health.body)
