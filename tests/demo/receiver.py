"""A partner's webhook receiver on loopback: it verifies each signature with the official package."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from tests.faults.checker import Receipt

NO_CONTENT = 204
REFUSED = 400


class Receiver:
    """Keeps a receipt of each request; `secret` must be set before the first webhook arrives."""

    def __init__(self) -> None:
        self.secret: str | None = None
        self.receipts: list[Receipt] = []
        self.url = ""

    async def receive(self, request: web.Request) -> web.Response:
        """Respond 204 to a valid signature and 400 to any other."""
        body = await request.read()
        is_verified = self._verify(body, dict(request.headers))
        status = NO_CONTENT if is_verified else REFUSED
        digest = hashlib.sha256(body).hexdigest()
        self.receipts.append(Receipt(request.headers.get("webhook-id", ""), digest, is_verified, status))
        return web.Response(status=status)

    def _verify(self, body: bytes, headers: dict[str, str]) -> bool:
        if self.secret is None:
            return False
        try:
            Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError:
            return False
        return True


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver on a free port while the context is open."""
    receiver = Receiver()
    application = web.Application()
    application.router.add_post("/webhooks", receiver.receive)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        receiver.url = f"http://{host}:{port}/webhooks"
        yield receiver
    finally:
        await runner.cleanup()
