"""The least an ASGI server can do: no routing, no reading, no work. What is left is the server and the generator."""

from starlette.types import Receive, Scope, Send

from tests.bench.peers.asgi import answer, lifespan


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer everything with an empty object."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    else:
        await answer(send, 200, b"{}")
