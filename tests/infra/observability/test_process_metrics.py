"""What the processes show at /metrics: which build they are, and nothing that belongs to another kind of process."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

from infra.observability.build_info import VERSION

CHECKOUT: Final = Path(__file__).resolve().parents[3]
EXPOSITION = """
import importlib, sys
from prometheus_client import generate_latest
from infra.observability.logs import configure
configure("some-process")
importlib.import_module(sys.argv[1])
sys.stdout.write(generate_latest().decode())
"""


def metrics_of(module: str) -> str:
    """Return what a process shows that runs this module."""
    command = [sys.executable, "-c", EXPOSITION, module]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=CHECKOUT).stdout  # noqa: S603  # our own code


@pytest.mark.parametrize(
    "module", ["infra.relay.__main__", "projections.run", "projections.webhooks.run", "query_api.app"]
)
def test_a_process_that_appends_nothing_shows_no_metrics_of_appends(module: str) -> None:
    shown = metrics_of(module)

    assert "harbor_append" not in shown
    assert "harbor_partitions" not in shown


def test_a_process_shows_which_build_it_is() -> None:
    written = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    python = ".".join(map(str, sys.version_info[:3]))

    assert written == VERSION
    expected = f'harbor_build_info{{process="some-process",python="{python}",version="{VERSION}"}} 1.0'
    assert expected in metrics_of("infra.runtime")
