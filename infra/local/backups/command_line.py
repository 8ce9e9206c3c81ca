"""`python -m infra.local backup` and `restore`."""

import asyncio
import os
import sys
from pathlib import Path

import click

from infra.local import running
from infra.local.backups import create
from infra.local.backups import restore as restoring
from infra.local.backups.contents import secrets_file
from infra.local.errors import AlreadyRunsError
from infra.local.home import LOOKS, locate, make_command
from infra.local.processes.interrupts import take_signals
from infra.local.processes.supervisor import print_line as say
from infra.observability.reasons import reason_of


@click.command(epilog="Example: python -m infra.local backup backups/monday")
@click.argument("directory", type=click.Path(path_type=Path))
def backup(directory: Path) -> None:
    """Write the database of what runs here to DIRECTORY, and its secrets to DIRECTORY.secrets.json.

    Orders may flow meanwhile: the dump is of one moment. Keep the two apart; together they open everything.
    """
    home, directory = locate(), directory.resolve()
    take_signals()
    facts = running.facts_of(home)
    home.load()
    try:
        made = asyncio.run(
            create.back_up(home, str(facts["postgres"]), directory, say, running.environment_of_stack(home))
        )
    except OSError as error:
        sys.exit(f"the backup failed, and nothing is left of it: {reason_of(error)}")
    except KeyboardInterrupt:
        if directory.exists():
            sys.exit(f"the interruption came too late: the backup is complete in {directory}, and so are its secrets")
        sys.exit("the backup was interrupted; nothing is left of it")
    say(f"{made.log.events:,} events, up to position {made.log.head}, {made.dump_bytes / 1e6:,.1f} MB in {directory}")
    say(f"keep {secrets_file(directory)} elsewhere: without it the backup is useless, with it everything opens")


@click.command(epilog="Example: HARBOR_HOME=/srv/restored python -m infra.local restore backups/monday")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--secrets", type=click.Path(path_type=Path), help="Default: DIRECTORY.secrets.json")
def restore(directory: Path, secrets: Path | None) -> None:
    """Make a backup the data of this home, which must have none; `up` continues from there."""
    home, directory = locate(), directory.resolve()
    take_signals()
    if os.environ.get("HARBOR_POSTGRES__URL"):
        sys.exit(
            "a backup is restored into a PostgreSQL of the home: unset HARBOR_POSTGRES__URL "
            "(docs/guides/operators.md says what to do with servers of your own)"
        )
    is_new = not home.path.exists()
    home.make()
    try:
        with home.held(LOOKS):
            try:
                found = asyncio.run(restoring.restore(home, directory, secrets or secrets_file(directory), say))
            finally:
                if is_new and not home.has_data():
                    home.wipe()  # the lock and the logs
    except AlreadyRunsError:
        sys.exit(f"a stack runs in {home.path}: restore into another home (HARBOR_HOME=/path)")
    except OSError as error:
        sys.exit(f"the restore failed, nothing is left of it: {reason_of(error)}")
    except KeyboardInterrupt:
        if home.has_data():
            sys.exit(f"the interruption came too late: the restore into {home.path} is complete")
        sys.exit("the restore was interrupted; nothing is left of it")
    log = found.log
    say(f"restored {log.events:,} events, up to position {log.head}; `{make_command('up')}` continues from there")
    if found.differing:
        sys.exit(
            f"but {' and '.join(found.differing)} differ from the log, or could not be compared, as when the backup "
            "was made: see above, and docs/guides/operators.md, `Fill a read model again`"
        )
