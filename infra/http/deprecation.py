"""Addresses that will go: declared at the route, told by every answer (RFC 9745, RFC 8594) and by OpenAPI.

@router.get(PATH, dependencies=[deprecated(since=datetime(2027, 1, 1, tzinfo=UTC), sunset=..., link="/docs")], ...)
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from fastapi import Depends
from fastapi.params import Depends as DependsParam
from fastapi.routing import APIRoute
from starlette.requests import Request

from infra.http.context import RequestContext, context_of


@dataclass(frozen=True, slots=True)
class Deprecated:
    """Since when an address is deprecated, when it will be gone (if that is settled), and where to read what to do."""

    since: datetime
    sunset: datetime | None = None
    link: str | None = None

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Give the headers that say so."""
        found = [(b"deprecation", b"@%d" % int(self.since.timestamp()))]
        if self.sunset is not None:
            found.append((b"sunset", format_datetime(self.sunset.astimezone(UTC), usegmt=True).encode("ascii")))
        if self.link is not None:
            found.append((b"link", f'<{self.link}>; rel="deprecation"'.encode("ascii")))
        return found

    def tell(self, context: RequestContext) -> None:
        """Put the headers on whatever is answered, refusals included."""
        context.answer_headers.extend(self.headers())

    async def __call__(self, request: Request) -> None:
        """Do it as a dependency of a route that FastAPI itself serves; a `RawRoute` calls `tell`."""
        self.tell(context_of(request))


def deprecated(since: datetime, sunset: datetime | None = None, link: str | None = None) -> DependsParam:
    """Declare a route deprecated.

    Raises:
        ValueError: a time is naive, or the sunset comes before the deprecation.
    """
    if since.tzinfo is None or (sunset is not None and (sunset.tzinfo is None or sunset < since)):
        raise ValueError("times have an offset, and an address is deprecated before it goes")
    dependency: DependsParam = Depends(Deprecated(since, sunset, link))
    return dependency


def deprecation_of(route: APIRoute) -> Deprecated | None:
    """Give what a route declares, None when it is not deprecated."""
    return find(dependency.call for dependency in route.dependant.dependencies)


def find(calls: Iterable[object]) -> Deprecated | None:
    """Give the first declaration among the dependencies of a route."""
    return next((call for call in calls if isinstance(call, Deprecated)), None)
