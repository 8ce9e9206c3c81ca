"""Recorders of our persistence module, for a tenant that may write and for an auditor of all tenants."""

from collections.abc import Iterator

import pytest

from infra.eventsourcing_module import HarborApplicationRecorder, HarborFactory
from tests.support.event_store.library_cases import a_factory, module_environment, recorder_of
from tests.support.services.servers import Database


@pytest.fixture
def factory(database: Database) -> Iterator[HarborFactory]:
    made = a_factory(module_environment(database.command_url))
    yield made
    made.close()


@pytest.fixture
def recorder(factory: HarborFactory) -> HarborApplicationRecorder:
    return recorder_of(factory)


@pytest.fixture
def auditor(database: Database) -> Iterator[HarborApplicationRecorder]:
    made = a_factory(module_environment(database.query_url, tenant_id=None))
    yield recorder_of(made)
    made.close()
