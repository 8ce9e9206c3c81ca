"""A partner's webhook receiver on loopback: verifies each signature with the official package, remembers it."""

import hashlib
from types import TracebackType
from typing import Self

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from tests.faults.checker import Receipt

NO_CONTENT = 204
REFUSED = 400


class Receiver:
    """Listens while the `async with` lasts; `secret` must be set before the first webhook arrives."""

    def __init__(self) -> None:
        self.secret: str | None = None
        self.receipts: list[Receipt] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_post("/webhooks", self._receive)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/webhooks"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        verified = False
        if self.secret is not None:
            try:
                Webhook(self.secret).verify(body, dict(request.headers))
                verified = True
            except WebhookVerificationError:
                pass
        status = NO_CONTENT if verified else REFUSED
        webhook_id = request.headers.get("webhook-id", "")
        self.receipts.append(Receipt(webhook_id, hashlib.sha256(body).hexdigest(), verified, status))
        return web.Response(status=status)
