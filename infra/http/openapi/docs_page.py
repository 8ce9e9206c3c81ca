"""/docs without the internet: Swagger UI from the package fastapi-swagger, under a policy that allows no other host.

The page has no inline script: the start call is a file of its own, so the policy needs no exception for scripts. That
file holds a copy of the document in which "Try it out" begins with what can be sent: see `to_try_out`. It is at no
address of its own and the page links the document itself, or somebody would generate a client from the copy.
"""

import copy
from collections.abc import Callable, Iterator
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Final

import fastapi_swagger
import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute

from infra.http.addresses import Services
from infra.http.openapi.examples import resolved
from infra.http.pages.page import PageRoute, link
from infra.http.problems import NOT_FOUND, Problem

_ASSETS: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_FILES: Final = Path(str(fastapi_swagger.__file__)).with_name("resources")
_NEW_KEY: Final = "new-for-each-request"
"""Stands where an idempotency key is sent; a request that still has it is sent with a new random one."""
_START: Final = b"""const newKey = () => {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
};
const withNewKeys = (request) => {
  if ((request.headers ?? {})["Idempotency-Key"] === "%(new_key)b") {
    request.headers["Idempotency-Key"] = newKey();
  }
  if (typeof request.body === "string") {
    request.body = request.body.replaceAll('"%(new_key)b"', () => `"${newKey()}"`);
  }
  return request;
};
window.ui = SwaggerUIBundle({
  spec: %(document)b,
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  requestInterceptor: withNewKeys,
  onComplete: () => window.ui.specActions.updateUrl("/openapi.json"),
  presets: [SwaggerUIBundle.presets.apis],
});
"""
_POLICY: Final = {
    # Swagger UI sets style attributes and draws its icons from data: addresses.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
_CACHED: Final = {"cache-control": "public, max-age=86400", "vary": "accept-encoding"}


def docs_routes(title: str, services: Services, document: Callable[[], dict[str, Any]]) -> list[BaseRoute]:
    """Return the routes of the page and of the few files it needs; `document` returns the OpenAPI document."""
    page = _page(title, services)
    contents = {name: _FILES.joinpath(name).read_bytes() for name in _ASSETS}

    @cache
    def start() -> bytes:
        return _START % {b"new_key": _NEW_KEY.encode(), b"document": orjson.dumps(to_try_out(document()))}

    async def docs(_request: Request) -> Response:
        return HTMLResponse(page, headers=_POLICY)

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name == "start.js":
            return Response(start(), media_type="text/javascript")
        if name not in contents:
            raise Problem(NOT_FOUND)
        return Response(contents[name], media_type=_ASSETS[name], headers=_CACHED)

    return [PageRoute("/docs", docs), PageRoute("/docs/{name}", asset)]


def to_try_out(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document for the page: Swagger UI fills every field with its example, and sends what stands there.

    So optional parameters lose theirs (an example of a cursor is no cursor), and the example of an idempotency key, in
    a header or a body, is the word that becomes a new key in each request. A parameter that may be left out is of one
    kind without `null`, which no address can say, so that a choice is shown as one. Requests go to the service that
    serves the page.
    """
    shown = copy.deepcopy(document) | {"servers": [{"url": "/"}]}
    for parameter in _parameters(shown):
        parameter["schema"] = _without_null(shown, parameter["schema"])
        if parameter["name"] == "Idempotency-Key":
            _forget_examples(parameter)
            parameter["example"] = _NEW_KEY
        elif not parameter.get("required"):
            _forget_examples(parameter)
    for operation in _operations(shown):
        _forget_keys(operation.get("requestBody"))
    return shown


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in document["paths"].values():
        yield from methods.values()


def _parameters(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for operation in _operations(document):
        yield from operation.get("parameters", ())


def _forget_keys(part: Any) -> None:
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _forget_keys(inner)
    if isinstance(part, dict) and isinstance(part.get("idempotency_key"), str):
        part["idempotency_key"] = _NEW_KEY


def _forget_examples(parameter: dict[str, Any]) -> None:
    for each in (parameter, parameter["schema"]):
        each.pop("example", None)
        each.pop("examples", None)


def _without_null(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    kinds = [dict(resolved(document, each)) for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return schema if len(kinds) != 1 else kinds[0] | {name: schema[name] for name in schema if name != "anyOf"}


def _page(title: str, services: Services) -> str:
    links = [link("/", "Start"), link("/openapi.json", "OpenAPI document"), link("/errors", "Errors")]
    if services.other.url:
        links.append(link(f"{services.other.url}/docs", f"The {services.other.name} service"))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<nav class="swagger-ui"><div class="wrapper">{" | ".join(links)}</div></nav>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
