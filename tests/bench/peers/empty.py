"""The least an ASGI server can do: no routing, no reading, no work. What is left is the server and the generator."""

from starlette.types import Receive, Scope, Send

from tests.bench.peers.asgi import lifespan, respond


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond to everything with an empty object."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    else:
        await respond(send, 200, b"{}")
