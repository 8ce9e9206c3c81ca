"""The few lines of ASGI that the raw targets share."""

from starlette.types import Receive, Send


async def lifespan(receive: Receive, send: Send) -> None:
    """Complete startup and shutdown with nothing to do."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def respond(send: Send, status: int, body: bytes) -> None:
    """Send one JSON response."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
