"""A webhook receiver that registers itself, verifies every signature and prints what came. Ctrl-C ends it.

Usage: python examples/webhook_receiver.py [--port 9000]

It reads the addresses and a test key from the running stack (`$HARBOR_HOME/stack.json`). The parts that matter to your
own receiver:

* `receive` verifies first, responds with 2xx at once, does the work later, and ignores an id seen before. A body that
  verifies is never refused: one that you do not understand would only come again, for three days.
* `describe` takes any body. An order may be left out (`thin`, or `truncated` above 64 KiB), and so may a change; types,
  members and versions that did not exist when you wrote yours will come.
"""

import argparse
import asyncio
import contextlib
import io
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
API_VERSION = "v1"
AMOUNTS = ("amount", "gross", "released")


async def main(port: int) -> None:
    """Listen, register, print until interrupted, unregister."""
    home = Path(os.environ.get("HARBOR_HOME") or CHECKOUT / ".harbor")
    try:
        stack = json.loads((home / "stack.json").read_text())
    except OSError:
        sys.exit(f"nothing runs in {home}; start it with: {_same_home()}make up DETACH=1")
    headers = {"Authorization": f"Bearer {stack['api_keys']['partner_a']}"}
    endpoints = f"{stack['command_api']}/api/v1/webhook-endpoints"
    verifier: asyncio.Future[Webhook] = asyncio.get_running_loop().create_future()
    seen: set[str] = set()  # yours is a table, with the id as its key, written in the transaction that does the work

    async def receive(request: web.Request) -> web.Response:
        body, headers = await request.read(), dict(request.headers)
        try:
            # The first webhook may arrive before the response that brings the secret.
            event = (await verifier).verify(body, headers)
        except (WebhookVerificationError, ValueError):
            return web.Response(status=400, text="signature does not verify")
        webhook_id = request.headers["webhook-id"]
        say(f"verified {describe(event, is_repeated=webhook_id in seen)}")
        seen.add(webhook_id)
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
        verifier.set_result(Webhook(endpoint["secret"]))
        say(f"registered {url}; waiting for webhooks, Ctrl-C ends")
        try:
            await _asked_to_end()
        finally:
            await _unregister(session, f"{endpoints}/{endpoint['id']}")
            await runner.cleanup()


def say(line: str) -> None:
    """Print a line. Whether somebody can read it must not decide what becomes of a webhook."""
    with contextlib.suppress(OSError):
        print(line, flush=True)


def describe(event: object, *, is_repeated: bool = False) -> str:
    """Return one line about the body of a webhook, whatever is in it and whatever is missing."""
    order_id = member(event, "order_id")
    what = f"{member(event, 'type')} of order {order_id}" if order_id is not None else str(member(event, "type"))
    if is_repeated:
        return f"{what}, seen before"
    if member(event, "api_version") != API_VERSION:
        return f"{what}, in version {member(event, 'api_version')}, which this receiver does not know"
    change = member(event, "data", "change")
    amounts = [member(change, name) for name in AMOUNTS if member(change, name, "amount") is not None]
    said = [f"{member(amount, 'amount')} {member(amount, 'currency')}" for amount in amounts]
    if (reason := member(change, "reason")) is not None:
        said.append(f"because: {reason!r}")  # quoted: a person wrote it, perhaps in several lines
    status = member(change, "to_status") or member(event, "data", "object", "status")
    said.append(f"now {status}" if status is not None else "without a status: read the order from the API")
    if member(event, "truncated") is True:
        said.append("shortened to fit into 64 KiB")
    return ", ".join([what, *said])


def member(value: object, *path: str) -> object:
    """Return a member of a parsed body; None where it is missing."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


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
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal need not know every letter
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args().port))
