"""`python -m command_api expire`: the timer as a process."""

import click

from infra.runtime import run_process


@click.command("expire", epilog="Example: HARBOR_POSTGRES__URL=postgresql://... python -m command_api expire")
def expire() -> None:
    """Let orders expire whose time has run out; run as many as you like, each order expires once."""
    from command_api.timer import run  # noqa: PLC0415  # loaded when asked for: the service does without it

    run_process("expiry", run.main)
