"""What all pages have: a frame that needs no other file, a policy that allows no other host, and a twin in JSON."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from infra.http.context import context_of
from infra.http.policies.accepted import prefers_html

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; }
code { font-family: ui-monospace, monospace; }
code, td { overflow-wrap: anywhere; }
table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid #8884; }
@media (max-width: 40rem) {
  th { display: none; }
  tr { display: block; padding: .3rem 0; border-bottom: 1px solid #8884; }
  td { display: block; padding: 0; border: none; }
}
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_HEADERS: Final = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "vary": "accept",
}


class PageRoute(Route):
    """A route of a page; as FastAPI's own do, it says which one it is, for the log and the metrics."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether this is its address."""
        match, child = super().matches(scope)
        if match is not Match.NONE:
            child["route"] = self
        return match, child


def respond(request: Request, title: str, body: str, document: Any) -> Response:
    """Return a page for a client that asks for HTML, and the document as JSON for any other.

    Args:
        request: its Accept header decides.
        title: plain text.
        body: HTML; whoever puts text into it escapes it.
        document: what the page says, for programs.
    """
    if not prefers_html(context_of(request).headers.get(b"accept", b"")):
        return Response(orjson.dumps(document), headers={"vary": "accept"}, media_type="application/json")
    return HTMLResponse(framed(title, body), headers=PAGE_HEADERS)


def link(address: str, text: str) -> str:
    """Return a link as HTML."""
    return f'<a href="{escape(address)}">{escape(text)}</a>'


def code(text: str) -> str:
    """Return a word of a program as HTML."""
    return f"<code>{escape(text)}</code>"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table; its cells are HTML."""
    lines = ["".join(f"<th>{escape(name)}</th>" for name in head)]
    lines += ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    return "<table>\n" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "\n</table>"


def framed(title: str, body: str) -> str:
    """Return a whole page; `title` is plain text, `body` HTML."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{body}
</body>
</html>
"""
