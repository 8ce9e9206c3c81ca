"""How large the fault tests are: small in every run, full with `--hypothesis-profile=full`."""

import pytest


@pytest.fixture(scope="session")
def is_full(pytestconfig: pytest.Config) -> bool:
    """Return whether this run has time for the full sizes."""
    return bool(pytestconfig.getoption("--hypothesis-profile") == "full")
