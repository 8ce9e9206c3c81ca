"""The `eventsourcing` library's own test cases, pointed at our store: each test has a database of its own.

Import `persistence_cases` from here: the library's module imports its cipher built on PyCryptodome, which we do not
have; its twin built on `cryptography`, which we have, takes that place.
"""

import os
import sys
from unittest import TestCase
from uuid import UUID, uuid4

import eventsourcing.cryptography
import pytest
from eventsourcing.persistence import InfrastructureFactory, StoredEvent
from eventsourcing.utils import Environment

from infra.eventsourcing_module import HarborApplicationRecorder, HarborFactory
from tests.support.services.servers import Database

sys.modules.setdefault("eventsourcing.cipher", eventsourcing.cryptography)
from eventsourcing.tests import persistence as persistence_cases  # noqa: E402  # after the line above

__all__ = (
    "InOurEnvironment",
    "OnOurStore",
    "a_factory",
    "a_thing",
    "module_environment",
    "persistence_cases",
    "recorder_of",
)

MODULE = "infra.eventsourcing_module"
TENANT = "acme.test"


def module_environment(url: str, *, tenant_id: str | None = TENANT) -> dict[str, str]:
    """Return the variables that point the library at our store."""
    variables = {"PERSISTENCE_MODULE": MODULE, "HARBOR_POSTGRES__URL": url}
    return variables if tenant_id is None else variables | {"HARBOR_TENANT": tenant_id}


def a_factory(variables: dict[str, str], name: str = "Conformance") -> HarborFactory:
    """Return a factory, made the way the library makes it."""
    factory: object = InfrastructureFactory.construct(Environment(name, variables))
    assert isinstance(factory, HarborFactory)
    return factory


def recorder_of(factory: HarborFactory) -> HarborApplicationRecorder:
    """Return the factory's application recorder."""
    recorder = factory.application_recorder()
    assert isinstance(recorder, HarborApplicationRecorder)
    return recorder


def a_thing(stream: UUID | None = None, version: int = 1, topic: str = "thing", state: bytes = b"{}") -> StoredEvent:
    """Return an event of the library; without a stream it begins one that nobody else has."""
    return StoredEvent(originator_id=stream or uuid4(), originator_version=version, topic=topic, state=state)


class OnOurStore(TestCase):
    """Mixed into a case of the library: `self.variables` configure a factory, `self.made_factory()` makes one."""

    variables: dict[str, str]
    database: Database

    @pytest.fixture(autouse=True)
    def _given_a_database(self, database: Database) -> None:
        self.database = database
        self.variables = module_environment(database.command_url)

    def made_factory(self) -> HarborFactory:
        """Return a factory that is closed when the test is over."""
        factory = a_factory(self.variables)
        self.addCleanup(factory.close)
        return factory


class InOurEnvironment(OnOurStore):
    """For cases that make applications without arguments: the library then reads the process' environment."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(os.environ.update, {name: os.environ[name] for name in self.variables if name in os.environ})
        for name in self.variables:
            self.addCleanup(os.environ.pop, name, None)
        os.environ.update(self.variables)
