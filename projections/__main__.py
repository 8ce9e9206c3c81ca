"""`python -m projections`: worker, webhook dispatcher, and the operator's commands for read models and dead letters."""

import click

from infra.runtime import run_process

WEBHOOKS = "webhooks"


@click.command(WEBHOOKS, epilog="Example: python -m projections webhooks")
def webhooks() -> None:
    """Deliver the webhooks that are due; run as many as you like."""
    from projections.webhooks import run  # noqa: PLC0415  # loaded when asked for, like the others

    run_process("dispatcher", run.main)


class Commands(click.Group):
    """Loads the other commands only when one of them is run: a dispatcher needs 20 MB less without the worker."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every name."""
        return sorted([*_others().list_commands(ctx), WEBHOOKS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name."""
        return webhooks if cmd_name == WEBHOOKS else _others().get_command(ctx, cmd_name)


def _others() -> click.Group:
    from projections import commands  # noqa: PLC0415  # see Commands

    return commands.main


@click.group(cls=Commands, epilog="Example: HARBOR_POSTGRES__URL=postgresql://... python -m projections worker")
def main() -> None:
    """React to facts: read models, webhooks, dead letters. All settings are HARBOR_* variables: docs/settings.md."""


if __name__ == "__main__":
    main()
