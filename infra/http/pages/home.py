"""`/`: where to begin, for somebody who has nothing but the address of a service."""

from collections.abc import Iterable
from html import escape
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from infra.http.addresses import Services
from infra.http.pages.page import PageRoute, link, respond, table

_LINKS: Final = {
    "/docs": "every operation of this API, with examples; requests can be tried out",
    "/openapi.json": "the OpenAPI 3.1 document",
    "/errors": "every error code, and what to do",
    "/livez": "whether the process lives",
    "/readyz": "whether it can serve, and what it waits for",
    "/health": "the same, with the name and version of the service",
    "/metrics": "measurements, for Prometheus",
}
_ABOUT: Final = {
    "command": "Orders are created and changed here. They are read at the query service.",
    "query": "Orders are read here. They are created and changed at the command service.",
}
_READ_ON: Final = (
    "The guides for partners, consumers of the topic, auditors and operators are in docs/guides of the checkout; "
    "README.md leads there."
)


def home_route(title: str, services: Services, served: Iterable[BaseRoute]) -> BaseRoute:
    """Return the route of the page; it names those pages and documents that are among the routes `served`."""
    paths = {getattr(route, "path", None) for route in served}
    links = {path: about for path, about in _LINKS.items() if path in paths}
    own, other = services.own, services.other
    sister = f"{other.url}/" if other.url else None
    document = {"service": own.name, "title": title, "links": list(links), "other_service": sister}
    rows = [(link(path, path), escape(about)) for path, about in links.items()]
    if sister is not None:
        rows.append((link(sister, sister), f"the {other.name} service"))
    body = f"<p>{_ABOUT[own.name]}</p>\n{table(('Address', 'What it shows'), rows)}\n<p>{_READ_ON}</p>"

    async def home(request: Request) -> Response:
        return respond(request, title, body, document)

    return PageRoute("/", home)
