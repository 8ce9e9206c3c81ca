"""`python -m command_api expire`: the timer as a process."""

import sys

import click

from infra import runtime
from infra.observability.logs import configure
from infra.settings import LogSettings, SettingsError, load


@click.command("expire", epilog="Example: HARBOR_POSTGRES__URL=postgresql://... python -m command_api expire")
def expire() -> None:
    """Let orders expire whose time has run out; run as many as you like, each order expires once."""
    from command_api.timer import run  # noqa: PLC0415  # loaded when asked for: the service does without it

    try:
        configure("expiry", load(LogSettings).level)
    except SettingsError as error:
        sys.exit(str(error))
    runtime.run(run.main)
