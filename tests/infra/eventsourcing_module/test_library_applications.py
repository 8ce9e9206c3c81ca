"""The library's own application cases pass unchanged on our store."""

import pytest
from eventsourcing.tests import application

from tests.support.event_store.library_cases import InOurEnvironment


class TestExampleApplication(InOurEnvironment, application.ExampleApplicationTestCase):
    expected_factory_topic = "infra.eventsourcing_module.factory:HarborFactory"


class TestApplication(InOurEnvironment, application.ApplicationTestCase):
    @pytest.mark.filterwarnings("always::DeprecationWarning")  # it records a warning, which ours make an error first
    def test_application_log(self) -> None:
        super().test_application_log()
