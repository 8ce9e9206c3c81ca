"""Which build a process runs: the metric `harbor_build_info`, whose value is always 1."""

import platform
from typing import Final

from prometheus_client import Info

VERSION: Final = "0.1.0"
"""As in pyproject.toml; the image has no package metadata to ask."""

_BUILD: Final = Info("harbor_build", "The process, and the versions of Harbor Orders and of Python that it runs")


_KNOWN: Final = {"process": "harbor-orders"}


def process_name() -> str:
    """Return the name of this process, as its log lines have it."""
    return _KNOWN["process"]


def expose(process: str) -> None:
    """Show the build at /metrics and /health under the name of this process, as its log lines have it."""
    _KNOWN["process"] = process
    _BUILD.info({"process": process, "version": VERSION, "python": platform.python_version()})
