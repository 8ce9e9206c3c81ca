"""Recorders of our persistence module, for a tenant that may write and for an auditor of all tenants."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from infra.eventsourcing_module import HarborApplicationRecorder, HarborFactory
from tests.support.event_store.library_cases import a_factory, module_environment, recorder_of
from tests.support.services.servers import Database

Open = Callable[..., HarborFactory]


@pytest.fixture
def open_factory(database: Database) -> Iterator[Open]:
    """Return a function that makes a factory, by a login's address and `module_environment`'s options."""
    with ExitStack() as opened:

        def make(url: str = database.command_url, name: str = "Conformance", **options: str | None) -> HarborFactory:
            made = a_factory(module_environment(url, **options), name)
            opened.callback(made.close)
            return made

        yield make


@pytest.fixture
def factory(open_factory: Open) -> HarborFactory:
    return open_factory()


@pytest.fixture
def recorder(factory: HarborFactory) -> HarborApplicationRecorder:
    return recorder_of(factory)


@pytest.fixture
def auditor(open_factory: Open, database: Database) -> HarborApplicationRecorder:
    return recorder_of(open_factory(database.query_url, tenant_id=None))
