"""Settings of property tests on a machine that may stall: how long an example takes to draw or to run says nothing."""

from typing import Final

from hypothesis import HealthCheck, settings

UNHURRIED: Final = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A decorator, and what other settings are made of: `settings(UNHURRIED, max_examples=40)`."""
