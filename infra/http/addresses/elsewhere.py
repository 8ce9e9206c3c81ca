"""Which of the two services takes a request that the other one got: a partner has two base addresses to mix up.

`routes.json` lists the routes of both. `docs/generate.py` writes it, because neither service may know the other's code.
"""

import re
from pathlib import Path

import orjson

from infra.http.addresses import ServiceAddress


class Elsewhere:
    """The routes of the other service."""

    def __init__(self, service: ServiceAddress) -> None:
        self._service = service
        table: dict[str, dict[str, list[str]]] = orjson.loads(_TABLE.read_bytes())
        # An address without a parameter, of either service, is never a parameter of another one.
        fixed: dict[str, list[str]] = {path: [] for routes in table.values() for path in routes if "{" not in path}
        self._routes = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path, frozenset(methods))
            for path, methods in sorted((fixed | table[service.name]).items(), key=lambda route: "{" in route[0])
        ]

    def hint(self, method: str, path: str) -> str | None:
        """Return a sentence that says where a request belongs; None: the other service does not take it either.

        It names the route and not the address that was sent: nothing of a request is repeated in a response.
        """
        wanted = "GET" if method == "HEAD" else method
        for pattern, template, methods in self._routes:
            if pattern.fullmatch(path):
                return self._sentence(wanted, template) if wanted in methods else None
        return None

    def _sentence(self, method: str, template: str) -> str:
        where = f" at {self._service.url}" if self._service.url else ""
        return f"The {self._service.name} service takes {method} {template}{where}."


_TABLE = Path(__file__).with_name("routes.json")
