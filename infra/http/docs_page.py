"""/docs without the internet: Swagger UI from the swagger-ui-bundle package, under a policy that allows no other host.

The page has no inline script: the start call is a file of its own, so the policy needs no exception for scripts.
"""

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route
from swagger_ui_bundle import swagger_ui_path

from infra.http.problems import NOT_FOUND, Problem

_ASSETS: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
# The packaged Swagger UI is older than OpenAPI 3.1 and refuses the number; what our documents use of 3.1 it shows.
_START: Final = b"""window.onload = async () => {
  const answer = await fetch("/openapi.json");
  const spec = await answer.json();
  spec.openapi = "3.0.3";
  window.ui = SwaggerUIBundle({
    spec,
    dom_id: "#swagger-ui",
    deepLinking: true,
    validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis],
  });
};
"""
_POLICY: Final = {
    # Swagger UI sets style attributes and draws its icons from data: addresses.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
_CACHED: Final = {"cache-control": "public, max-age=86400"}


def docs_routes(title: str) -> list[BaseRoute]:
    """Give the routes of the page and of the few files it needs."""
    page = _page(title)
    contents = {name: Path(str(swagger_ui_path), name).read_bytes() for name in _ASSETS}

    async def docs(_request: Request) -> Response:
        return HTMLResponse(page, headers=_POLICY)

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name == "start.js":
            return Response(_START, media_type="text/javascript", headers=_CACHED)
        if name not in contents:
            raise Problem(NOT_FOUND)
        return Response(contents[name], media_type=_ASSETS[name], headers=_CACHED)

    return [Route("/docs", docs), Route("/docs/{name}", asset)]


def _page(title: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
