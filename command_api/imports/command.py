"""`python -m command_api import FILE`: partners' files of orders, through the batch endpoint of a running service."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import click

from command_api.imports.progress import Progress, Tally, clock_text
from command_api.imports.refusals import PlaceError, RefusedFile
from command_api.imports.sending import (
    AbortError,
    Contact,
    HttpService,
    Outcome,
    Patience,
    Service,
    WrongPlaceError,
    settle,
)
from command_api.imports.slices import FileSlice, read_slices
from infra.security.api_keys import MalformedKeyError, parse

API_KEY: Final = "HARBOR_API_KEY"
MAX_ORDERS: Final = 500
_API: Final = "/api/v1"
_GIVE_UP_S: Final = 600.0
_UNREACHED_S: Final = 30.0
_AGAIN: Final = "Run the same command again to continue: orders that are there already are not made twice."
_HELP: Final = """Create the orders of FILE, one JSON object per line, through POST /api/v1/orders/batch.

\b
A line is an order as POST /api/v1/orders takes it, or
  {"idempotency_key": "...", "order": {...}}

FILE is a regular file, no pipe. The API key is taken from the environment variable HARBOR_API_KEY.

Running the same file again never doubles an order, whatever happened in between. A line without a key gets one
that follows from the order's content and --run (and, among lines of the same content, from which of them it is), so
lines may also be added, removed or moved. The service remembers keys for 7 days; after that only an
external_reference protects an order from being made again. To make the same orders anew on purpose, give another
--run.

Lines that are refused go to FILE.refused.ndjson with code and pointer, and the import goes on. Mend the orders there
(of a line that was no order, its text) and import that file; mend them in one file only, not in both. An older file of
that name is kept as .1, .2, ...

Exit status: 0 all orders are there; 1 some lines were refused; 2 wrong usage, or the import stopped: run it again.
"""


class ImportStopped(click.ClickException):
    """Ends the command with status 2."""

    exit_code = 2


def _regular(_context: click.Context, _parameter: click.Parameter, file: Path) -> Path:
    """Refuse what can be read only once: the same file is read again from its beginning after whatever stopped it."""
    if str(file) == "-" or not file.is_file():
        raise click.BadParameter(
            f"{file} is no regular file. An import that stopped is run again from the beginning of its file, which a "
            "pipe does not give twice: save the lines in a file and import that"
        )
    return file


@click.command(
    "import", help=_HELP, epilog="Example: HARBOR_API_KEY=hbr_test_... python -m command_api import orders.ndjson"
)
@click.argument(
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),  # a dash, to be told why it is none
    callback=_regular,
)
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="of the command service")
@click.option("--run", default="", help="name of this run; another name makes other keys for lines without one")
@click.option(
    "--refused",
    "refused_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="file of refused lines, or /dev/null",
)
@click.option("--in-flight", type=click.IntRange(1, 16), default=2, show_default=True, help="batches sent at once")
@click.option(
    "--batch",
    "max_orders",
    type=click.IntRange(1, MAX_ORDERS),
    default=MAX_ORDERS,
    show_default=True,
    help="lines in one request; fewer, if the rate of the key allows no more at once",
)
@click.option("--deadline", type=click.FloatRange(0.1, 600), default=30.0, show_default=True, help="seconds a request")
@click.option(
    "--give-up",
    type=click.FloatRange(0.1, 86_400),
    help=f"seconds without progress  [default: {_GIVE_UP_S:g}; {_UNREACHED_S:g} while the service was never reached]",
)
def import_orders(
    file: Path,
    url: str,
    run: str,
    refused_path: Path | None,
    in_flight: int,
    max_orders: int,
    deadline: float,
    give_up: float | None,
) -> None:
    """Import a file; the help is in `_HELP`."""
    api_key = _api_key()
    if not _is_address(url):
        raise click.UsageError("--url is http://HOST or https://HOST, with :PORT if it needs one")
    service_url = url.rstrip("/").removesuffix(_API)
    patience = Patience(give_up or _GIVE_UP_S, unreached_s=give_up or _UNREACHED_S)
    refused = RefusedFile(refused_path or file.with_name(file.name + ".refused.ndjson"))
    try:
        refused.check(file)
    except PlaceError as error:
        raise click.UsageError(f"{error}: give a file for the refused lines with --refused") from None
    tally, progress = Tally(), Progress(sys.stderr, file.stat().st_size)

    def say(line: str) -> None:
        progress.end()
        click.echo(line, err=True)

    async def work() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:
            service = HttpService(session, service_url, api_key, deadline)
            with file.open("rb") as lines:
                slices = read_slices(lines, run, max_orders)
                await Import(service, patience, Contact(say), refused, tally, progress).all(slices, in_flight)

    try:
        with closing(refused):
            asyncio.run(work())
    except KeyboardInterrupt:
        raise ImportStopped(f"stopped. {_AGAIN}") from None
    except WrongPlaceError as error:
        raise ImportStopped(f"{_sentence(error)} Is --url the address of the command service?") from None
    except AbortError as error:
        raise ImportStopped(f"{_sentence(error)} {_AGAIN}") from None
    finally:
        progress.end()
        click.echo(summary(tally, progress.elapsed_s))
    if tally.refused:
        click.echo(f"refused lines: {refused.path}")
        sys.exit(1)


def _is_address(url: str) -> bool:
    """Return whether requests can be sent there: a scheme of HTTP, a host, and a port that exists if there is one."""
    try:
        parts = urlsplit(url)
        is_plain = not parts.query and not parts.fragment
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and is_plain
    except ValueError:
        return False


def _sentence(error: AbortError) -> str:
    return f"{str(error).rstrip('.')}."


def _api_key() -> str:
    """Return the key from the environment: on a command line everybody on the machine could read it."""
    try:
        return parse(os.environ[API_KEY].strip()).text
    except KeyError:
        raise click.UsageError(f"put the API key into the environment variable {API_KEY}") from None
    except MalformedKeyError:
        raise click.UsageError(f"{API_KEY} does not hold an API key (hbr_live_... or hbr_test_...)") from None


def summary(tally: Tally, elapsed_s: float) -> str:
    """Return what was done in one line."""
    rate = tally.orders_settled / elapsed_s if elapsed_s else 0.0
    return (
        f"{tally.orders_settled:,} orders in {clock_text(elapsed_s)} ({rate:,.0f}/s): {tally.created:,} created, "
        f"{tally.replayed:,} were there already, {tally.refused:,} refused"
    )


class Import:
    """One import: sends slices, some at once, and counts."""

    def __init__(
        self,
        service: Service,
        patience: Patience,
        contact: Contact,
        refused: RefusedFile,
        tally: Tally,
        progress: Progress,
    ) -> None:
        self._service = service
        self._patience = patience
        self._contact = contact
        self._refused = refused
        self._tally = tally
        self._progress = progress

    async def all(self, slices: Iterator[FileSlice], in_flight: int) -> None:
        """Send all slices; the file is read no further ahead than they are sent.

        Raises:
            AbortError: one of them cannot be settled. The others may have been written or not.
        """
        free = asyncio.Semaphore(in_flight)

        async def one(part: FileSlice) -> None:
            try:
                self._note(part, await settle(self._service, part.orders, self._patience, self._contact))
            finally:
                free.release()

        aborted: AbortError | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                for part in slices:
                    await free.acquire()
                    tasks.create_task(one(part))
        except* (AbortError, OSError) as group:
            first = group.exceptions[0]
            aborted = first if isinstance(first, AbortError) else AbortError(str(first))
        if aborted is not None:
            raise aborted

    def _note(self, part: FileSlice, outcomes: list[Outcome]) -> None:
        tally = self._tally
        for bad in part.bad:
            self._refused.add(bad)
        for outcome in outcomes:
            if outcome.problem is not None:
                self._refused.add(outcome)
            elif outcome.replayed:
                tally.replayed += 1
            else:
                tally.created += 1
        tally.refused = self._refused.count
        tally.file_bytes += part.file_bytes
        self._progress.show(tally)
