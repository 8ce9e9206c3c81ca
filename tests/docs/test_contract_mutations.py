"""The gate against the documents that clients really hold: whatever is changed in them, wherever, is told."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import pytest

from docs.contract.document import changes
from docs.contract.gate import OPENAPI, PUBLISHED
from tests.docs.contract_mutations import CATALOGUE, Json, Site, at, only, sites

SERVICES: Final = ("command", "query")
SITES_PER_MUTATION: Final = 6
"""Of each way of travel and document: there are thousands; the seed is fixed, so that a failure comes again."""
SEED: Final = 1

AROUND_OPERATIONS: Final[dict[str, Callable[[Json], object]]] = {
    "a path is removed": lambda d: d["paths"].popitem(),
    "an operation is removed": lambda d: d["paths"]["/api/v1/orders"].popitem(),
    "a path is renamed": lambda d: d["paths"].update({"/api/v2/orders": d["paths"].pop("/api/v1/orders")}),
    "a way to log in is removed": lambda d: d["components"]["securitySchemes"].popitem(),
    "a way to log in is another": lambda d: d["components"]["securitySchemes"]["bearer"].update(scheme="basic"),
    "everything is at another server": lambda d: d.update(servers=[{"url": "https://other.example"}]),
    "another version of OpenAPI": lambda d: d.update(openapi="3.2.0"),
    "another dialect of schemas": lambda d: d.update(jsonSchemaDialect="https://other.example"),
}


@cache
def published(service: str) -> Json:
    found: Json = json.loads((OPENAPI / PUBLISHED / f"{service}.json").read_text(encoding="utf-8"))
    return found


@cache
def changing(service: str) -> Json:
    return copy.deepcopy(published(service))


@cache
def places(service: str) -> list[Site]:
    return sites(published(service))


@contextmanager
def changed(document: Json, site: Site, mutate: Callable[[Json], object]) -> Iterator[None]:
    """Change what is at the site, and put it back."""
    target = at(document, site.steps)
    before = copy.deepcopy(target)
    mutate(target)
    try:
        yield
    finally:
        target.clear()
        target.update(before)


def chosen(service: str, name: str) -> list[Site]:
    """Choose places where the mutation can be made."""
    mutation = CATALOGUE[name]
    fitting = [
        site
        for site in places(service)
        if site.kind == mutation.kind and mutation.fits(at(published(service), site.steps))
    ]
    return [
        site
        for way in sorted({site.direction for site in fitting}, key=str)
        for of_way in [[site for site in fitting if site.direction is way]]
        for site in random.Random(SEED).sample(of_way, min(SITES_PER_MUTATION, len(of_way)))  # noqa: S311  # no secret
    ]


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_change_of_a_published_document_is_told_and_breaks_the_way_it_breaks(name: str) -> None:
    mutation = CATALOGUE[name]
    missed: list[Any] = []
    looked_at = 0
    for service in SERVICES:
        now = changing(service)
        for site in chosen(service, name):
            with changed(now, site, mutation.mutate):
                found = changes(only(published(service), site.operation), only(now, site.operation))
            looked_at += 1
            if not found or (site.direction in mutation.breaks and not any(change.is_breaking for change in found)):
                missed.append((service, site, [str(change) for change in found]))
        assert now == published(service)

    assert looked_at
    assert missed == []


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("plant", AROUND_OPERATIONS.values(), ids=AROUND_OPERATIONS)
def test_what_stands_around_the_operations_does_not_change_unnoticed(
    service: str, plant: Callable[[Json], object]
) -> None:
    now = copy.deepcopy(published(service))
    plant(now)

    assert any(change.is_breaking for change in changes(published(service), now))
