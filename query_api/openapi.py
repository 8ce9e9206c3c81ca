"""The OpenAPI document of the query API, without a database or settings: `docs/openapi/query_api.json` is this."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from infra.http.app import build_app
from infra.http.guards import Limits
from query_api.app import DESCRIPTION, ROUTERS, TITLE
from query_api.problems import translate


def document() -> dict[str, Any]:
    """Return the document; the same for every installation."""
    return build_app(
        title=TITLE,
        description=DESCRIPTION,
        routers=ROUTERS,
        lifespan=_nothing,
        limits=Limits(max_in_flight=1, deadline_s=1.0, max_body_bytes=0),
        translate=translate,
    ).openapi()


@asynccontextmanager
async def _nothing(_app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
    yield {}
