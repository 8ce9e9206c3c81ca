"""What a figure depends on besides the code: the machine, its load, the versions."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil

_PACKAGES: Final = ("uvicorn", "uvloop", "fastapi", "pydantic", "asyncpg", "eventsourcing", "psycopg", "sqlalchemy")
_CHECKOUT: Final = Path(__file__).resolve().parents[2]


def started_at() -> str:
    """Return the time as text."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def busy() -> str | None:
    """Return a warning when others use this machine now; None when it is quiet."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load < cores / 4:
        return None
    return f"this machine is busy (load {load:.1f} on {cores} cores): figures will be low and spread wide"


def describe(postgres: Mapping[str, str]) -> dict[str, str]:
    """Return names and values for the report; nothing in it names a person, a host or a path."""
    settings = dict(postgres)
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load at start": f"{os.getloadavg()[0]:.2f}",
        "code": commit(_CHECKOUT),
        "Python": sys.version.split()[0],
        **{package: version(package) for package in _PACKAGES},
        "PostgreSQL": settings.pop("server_version"),
        **{f"PostgreSQL {name}": value for name, value in settings.items()},
    }


def commit(checkout: Path) -> str:
    """Return the commit, and whether files were changed since; `unknown` where there is no git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        found = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)  # noqa: S603  # fixed words
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
