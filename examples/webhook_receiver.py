"""A webhook receiver that registers itself, verifies every signature and prints what came. Ctrl-C ends it.

Usage: python examples/webhook_receiver.py [--port 9000]

It reads the addresses and a test key from the running stack (`$HARBOR_HOME/stack.json`); the part that matters to
your own receiver is `receive`: verify first, respond with 2xx at once, do the work later, and ignore an id seen before.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shlex
import signal
import sys
from pathlib import Path

import aiohttp
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

CHECKOUT = Path(__file__).resolve().parent.parent


async def main(port: int) -> None:
    """Listen, register, print until interrupted, unregister."""
    home = Path(os.environ.get("HARBOR_HOME") or CHECKOUT / ".harbor")
    try:
        stack = json.loads((home / "stack.json").read_text())
    except OSError:
        sys.exit(f"nothing runs in {home}; start it with: {_same_home()}make up DETACH=1")
    headers = {"Authorization": f"Bearer {stack['api_keys']['partner_a']}"}
    endpoints = f"{stack['command_api']}/api/v1/webhook-endpoints"
    secret: list[str] = []
    seen: set[str] = set()

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        try:
            event = Webhook(secret[0]).verify(body, dict(request.headers))
        except WebhookVerificationError:
            return web.Response(status=400, text="signature does not verify")
        said = "seen before" if event["id"] in seen else f"now {event['data']['object']['status']}"
        seen.add(event["id"])
        print(f"verified {event['type']} of order {event['order_id']}, {said}", flush=True)
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/webhooks", receive)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        await runner.cleanup()
        sys.exit(f"port {port} cannot be used ({os.strerror(error.errno or 0)}): choose another one with --port")
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks"
    async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as session:
        try:
            async with session.post(endpoints, json={"url": url, "event_types": ["order.*"]}) as response:
                endpoint = await response.json()
        except aiohttp.ClientError as error:
            await runner.cleanup()
            sys.exit(f"the endpoint could not be registered ({_reason(error)})")
        secret.append(endpoint["secret"])
        print(f"registered {url}; waiting for webhooks, Ctrl-C ends", flush=True)
        try:
            await _asked_to_end()
        finally:
            await _unregister(session, f"{endpoints}/{endpoint['id']}")
            await runner.cleanup()


async def _unregister(session: aiohttp.ClientSession, address: str) -> None:
    try:
        await session.delete(address)
    except aiohttp.ClientError as error:
        sys.exit(
            f"its endpoint could not be unregistered ({_reason(error)}); with a key that works: "
            f"curl -X DELETE {address} -H 'Authorization: Bearer KEY'"
        )


def _reason(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{error.status} {error.message}"
    return str(error)


async def _asked_to_end() -> None:
    """Wait for the end: Ctrl-C, a closed terminal, or `kill`."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()


def _same_home() -> str:
    named = os.environ.get("HARBOR_HOME")
    return f"HARBOR_HOME={shlex.quote(named)} " if named else ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any free one)")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args().port))
