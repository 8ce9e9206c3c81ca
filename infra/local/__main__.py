"""`python -m infra.local up | down | status | show | run | backup | restore | clean`: the whole system here."""

import asyncio
import json
import os
import shlex
import signal
import sys

import asyncpg
import click

from infra.local import directories, running
from infra.local import status as stack_status
from infra.local.addresses import environment_for
from infra.local.backups.command_line import backup, restore
from infra.local.errors import AlreadyRunsError, LocalError
from infra.local.home import CHECKOUT, LOOKS, Home, locate, make_command, nothing_runs
from infra.local.processes import detached, orphans
from infra.local.processes.interrupts import take_signals
from infra.local.processes.supervisor import print_line as say
from infra.local.stack import Stack
from infra.security.api_keys import parse
from infra.settings_names import warn_of_mistyped

_HALF_RESTORED = "a restore into {} was interrupted, and what it left is no backup: run it again (`{}`)"
NEED_A_BROKER = frozenset({"infra.kafka", "infra.relay"})
"""Modules whose commands are about the topic."""


class Commands(click.Group):
    """Shows an error that a person can fix as one message, without a trace."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except (LocalError, asyncpg.PostgresError) as error:
            sys.exit(str(error))


@click.group(cls=Commands)
@click.pass_context
def main(context: click.Context) -> None:
    """Run the whole system on this machine: servers, relay, workers and both services.

    HARBOR_HOME names the directory for data and secrets (default: .harbor in the checkout), HARBOR_COMMAND_API__PORT
    and HARBOR_QUERY_API__PORT the ports (8000 and 8001; 0: any free one). HARBOR_POSTGRES__URL,
    HARBOR_KAFKA__BOOTSTRAP_SERVERS and HARBOR_REDIS__URL replace a server by one that exists.
    """
    if context.invoked_subcommand != "up":
        warn_of_mistyped(os.environ)


@main.command(epilog="Example: HARBOR_HOME=/tmp/second HARBOR_COMMAND_API__PORT=0 python -m infra.local up --detach")
@click.option("--broker", type=click.Choice(["auto", "kafka", "none"]), default="auto", show_default=True)
@click.option("--detach", is_flag=True, help="Return when everything is ready.")
@click.option("--brief", is_flag=True, help="Say what starts, not what runs where and what to try.")
def up(broker: str, detach: bool, brief: bool) -> None:
    """Start everything; Ctrl-C drains and stops it."""
    home = locate()
    if not detach:  # else the new process says it
        warn_of_mistyped(os.environ)
    try:
        home.make()
        detached.await_stop(home, say)
        if detach:
            take_signals()
            failed = detached.start(home, ["up", "--broker", broker, *(["--brief"] if brief else [])], say)
            if failed and home.stack_file.exists():
                say(f"it keeps running in the background: {_what_next()}")
            elif not failed and not brief:
                say(f"running in the background: {_what_next()}")
            sys.exit(failed)
        with home.held(LOOKS):
            home.load()
            if home.kept.restoring:
                raise LocalError(_HALF_RESTORED.format(home.path, make_command("restore FROM=...")))
            _end_orphans(home)
            home.stack_file.unlink(missing_ok=True)
            asyncio.run(_run(home, broker, brief))
    except AlreadyRunsError as error:
        home.load()
        if home.kept.restoring:
            sys.exit(f"a restore is under way in {home.path}: run this again when it has ended")
        say(f"{error}: {_what_next()}")
        differing = running.differences(home, broker, os.environ)
        if differing:
            sys.exit("\n".join([*differing, f"to run with these settings: `{make_command('down')}`, then this again"]))


@main.command(epilog="Example: python -m infra.local down")
def down() -> None:
    """Drain and stop what runs in this home; the data stays."""
    home = locate()
    if not home.path.exists():
        say(nothing_runs())
        return
    try:
        with home.held():
            if not _end_orphans(home):
                say(nothing_runs())
            home.stack_file.unlink(missing_ok=True)
    except AlreadyRunsError:
        _stop(home)
        say("stopped; the data stays")


@main.command(epilog="Example: python -m infra.local status")
def status() -> None:
    """Show what runs in this home; exit status 1 if nothing does."""
    lines = stack_status.status(locate(), lambda line: click.echo(line, err=True))
    for line in lines or [nothing_runs()]:
        say(line)
    sys.exit(0 if lines else 1)


@main.command(epilog="Example: python -m infra.local show api_keys.partner_a")
@click.argument("fact")
def show(fact: str) -> None:
    """Print one fact of what runs here: command_api, query_api, kafka, api_keys.partner_a, processes.relay.pid, ..."""
    home = locate()
    facts: object = running.facts_of(home)
    for name in fact.split("."):
        if not isinstance(facts, dict) or name not in facts:
            known = f"; there is {', '.join(facts)}" if isinstance(facts, dict) else ""
            sys.exit(f"no {name!r} in {home.stack_file}{known}")
        facts = facts[name]
    _warn_of_end(home, fact, facts)
    say(facts if isinstance(facts, str) else json.dumps(facts))


@main.command(
    epilog="Example: python -m infra.local run projections verify orders",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("module")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(module: str, arguments: tuple[str, ...]) -> None:
    """Run `python -m MODULE ARGUMENTS` against what runs here, with the login and settings of the stack's processes."""
    home = locate()
    facts = running.facts_of(home)
    home.load()
    if module in NEED_A_BROKER and not facts.get("kafka"):
        sys.exit(
            f"this stack runs without a broker: `{make_command('down')}`, then `{make_command('up')} BROKER=kafka`"
        )
    environment = environment_for(module, home, facts) | running.secrets_of_stack(home)
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], environment)  # noqa: S606  # no shell wanted


@main.command(epilog="Example: HARBOR_HOME=/tmp/second python -m infra.local clean")
def clean() -> None:
    """Stop what runs in this home and delete its data, for good: the first half of `make clean`.

    Without HARBOR_HOME the second half deletes .venv as well: this refuses, before it does anything, while another
    home's stack runs from it.
    """
    home = locate()
    others = () if os.environ.get("HARBOR_HOME") else orphans.stacks_of(CHECKOUT, besides=home)
    if others:
        sys.exit("\n".join([*(f"a stack of this checkout runs {each}" for each in others), "nothing was deleted"]))
    try:
        _wipe(home)
    except AlreadyRunsError:
        _stop(home)
        _wipe(home)
    for path in () if os.environ.get("HARBOR_HOME") else directories.shared_by_all():
        say(
            f"kept {path}, which all checkouts share and the next start saves time with: rm -r {shlex.quote(str(path))}"
        )


main.add_command(backup)
main.add_command(restore)


def _what_next() -> str:
    return f"`{make_command('status')}` shows it, `{make_command('down')}` stops it"


def _end_orphans(home: Home) -> bool:
    ended = orphans.end_orphans(home.run_file)
    if ended:
        say(f"ended what a killed supervisor left: {', '.join(ended)}")
    return bool(ended)


def _stop(home: Home) -> None:
    say("stopping: services drain, then the servers")
    detached.stop(home)


def _wipe(home: Home) -> None:
    if not home.path.exists():
        return
    with home.held():
        orphans.end_orphans(home.run_file)
        deleted = home.wipe()
    say(f"deleted {', '.join(map(str, deleted))}")


def _warn_of_end(home: Home, name: str, fact: object) -> None:
    """Say on standard error, where no script reads it, that a key was revoked or expires."""
    if not name.startswith("api_keys.") or not isinstance(fact, str):
        return
    warning = asyncio.run(stack_status.key_warning(str(running.facts_of(home).get("postgres")), fact))
    if warning:
        click.echo(f"{name} ({parse(fact).key_id}): {warning}", err=True)


async def _run(home: Home, broker: str, brief: bool) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    stack = Stack(home, broker, say, brief=brief)

    def on_signal(number: signal.Signals) -> None:
        # A second Ctrl-C is a person who is in a hurry; the others may come several times for one reason.
        if stop.is_set() and number is signal.SIGINT:
            stack.kill_all()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # else: nohup
            loop.add_signal_handler(number, on_signal, number)
    await stack.run(stop)


if __name__ == "__main__":
    main()
