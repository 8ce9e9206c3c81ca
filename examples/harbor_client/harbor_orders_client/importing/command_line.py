"""`harbor-orders import FILE`: create the orders of a file through the batch endpoint of a running service."""

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

import httpx

from harbor_orders_client.errors import ApiError, HarborError, OutcomeUnknown, Unauthorized, UnexpectedResponse
from harbor_orders_client.importing.progress import Progress, Tally, clock_text, orders_text
from harbor_orders_client.importing.refusals import RefusedFile, RefusedFileError, refused_path
from harbor_orders_client.importing.run import Import
from harbor_orders_client.importing.slices import read_slices
from harbor_orders_client.operations.batches import MAX_ORDERS, SliceSize
from harbor_orders_client.transport.retries import Contact, Patience, Rules
from harbor_orders_client.transport.session import Session, is_base_url

Number = TypeVar("Number", int, float)
API_KEY: Final = "HARBOR_API_KEY"
_API: Final = "/api/v1"
_KEY: Final = re.compile(r"hbr_(live|test)_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}")
_GIVE_UP_S: Final = 600.0
_UNREACHED_S: Final = 30.0
_NO_SUCH_PLACE: Final = frozenset({404, 405})
_UNTIL_IT_GIVES_UP: Final = 1_000_000
_STOPPED: Final = 2
_AGAIN: Final = "Run the same command again to continue: orders that are there already are not made twice."
_COMMANDS: Final = "Commands for partners of Harbor Orders."
_DESCRIPTION: Final = """Create the orders of FILE, one JSON object per line, through POST /api/v1/orders/batch.

A line is an order as POST /api/v1/orders takes it, or
  {"idempotency_key": "...", "order": {...}}

FILE is a regular file, not a pipe. The API key is read from the environment variable HARBOR_API_KEY.

Running the same file again never doubles an order, whatever happened in between. A line without a key gets one
that follows from the order's content and --run (and, among lines of the same content, from its number among them), so
lines may also be added, removed or moved. The service remembers keys for 7 days; after that only an
external_reference keeps an order from being made again. To make the same orders a second time on purpose, choose
another --run.

Refused lines go to FILE.refused.ndjson with code and pointer, and the import continues. Correct the orders there (of a
line that was not an order, its text) and import that file; correct them in one file only, not in both. What is refused
then goes to FILE.refused-2.ndjson, and so on. An older file of that name is kept as .1, .2, ...

Exit status: 0 all orders are there; 1 some lines were refused; 2 wrong usage, or the import stopped: run it again.
"""
_EXAMPLE: Final = "Example: HARBOR_API_KEY=hbr_test_... harbor-orders import orders.ndjson --url http://127.0.0.1:8000"


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Return its exit status."""
    parser = argparse.ArgumentParser(prog="harbor-orders", description=_COMMANDS, epilog=_EXAMPLE)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "import",
        help="create the orders of a file",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_arguments(command)
    return import_orders(command, parser.parse_args(arguments))


def _add_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("file", metavar="FILE", type=_regular_file)
    add(
        "--url",
        type=_address,
        default="http://127.0.0.1:8000",
        help="address of the command service (default: %(default)s)",
    )
    add("--run", default="", help="name of this run; another name makes other keys for lines without one")
    add("--refused", type=Path, metavar="PATH", help="file of refused lines (default: FILE.refused.ndjson)")
    add(
        "--in-flight",
        type=_between(int, 1, 16),
        default=2,
        metavar="N",
        help="batches sent at once (default: %(default)s)",
    )
    add(
        "--batch",
        type=_between(int, 1, MAX_ORDERS),
        default=MAX_ORDERS,
        metavar="N",
        help="lines in one request (default: %(default)s, or what the rate of the key allows at once)",
    )
    add(
        "--deadline",
        type=_between(float, 0.1, 600),
        default=30.0,
        metavar="SECONDS",
        help="to wait for each part of a request (default: %(default)g)",
    )
    add(
        "--give-up",
        type=_between(float, 0.1, 86_400),
        metavar="SECONDS",
        help=f"without progress (default: {_GIVE_UP_S:g}; {_UNREACHED_S:g} while the service was never reached)",
    )


def import_orders(command: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Import a file. Return the exit status."""
    api_key = os.environ.get(API_KEY, "").strip()  # not an option: everybody on the machine can read a command line
    if not api_key:
        command.error(f"put the API key into the environment variable {API_KEY}")
    if not _KEY.fullmatch(api_key):
        command.error(f"{API_KEY} does not hold an API key (hbr_live_... or hbr_test_...)")
    file: Path = arguments.file
    refused = RefusedFile(arguments.refused or refused_path(file))
    try:
        refused.check(file)
    except RefusedFileError as error:
        command.error(f"{error}: choose a file for the refused lines with --refused")
    tally, progress = Tally(), Progress(sys.stderr, file.stat().st_size)

    def report(line: str) -> None:
        progress.end()
        print(line, file=sys.stderr, flush=True)

    reason = ""
    try:
        with closing(refused):
            asyncio.run(_work(arguments, _session(arguments, api_key, Contact(report)), refused, tally, progress))
    except KeyboardInterrupt:
        reason = f"stopped. {_AGAIN}"
    except (HarborError, RefusedFileError, OSError) as error:
        reason = _why(error)
    progress.end()
    if reason:
        print(f"Error: {reason}", file=sys.stderr, flush=True)
    print(summary(tally, progress.elapsed_s), flush=True)
    if reason:
        return _STOPPED
    if tally.refused:
        print(f"refused lines: {refused.path}")
    return 1 if tally.refused else 0


def _session(arguments: argparse.Namespace, api_key: str, contact: Contact) -> Session:
    patience = Patience(
        timeout_s=arguments.deadline,
        max_retries=_UNTIL_IT_GIVES_UP,
        total_timeout_s=arguments.give_up or _GIVE_UP_S,
        unreached_timeout_s=arguments.give_up or _UNREACHED_S,
    )
    return Session(arguments.url, arguments.url, api_key, Rules(patience, contact=contact), read_your_writes=False)


async def _work(
    arguments: argparse.Namespace, session: Session, refused: RefusedFile, tally: Tally, progress: Progress
) -> None:
    limits = httpx.Limits(max_connections=arguments.in_flight)
    async with httpx.AsyncClient(limits=limits) as http:
        work = Import(session, http, refused, tally, progress, SliceSize(arguments.batch))
        with arguments.file.open("rb") as lines:
            await work.send_all(read_slices(lines, arguments.run, arguments.batch), arguments.in_flight)


def _between(kind: Callable[[str], Number], least: Number, most: Number) -> Callable[[str], Number]:
    def number(text: str) -> Number:
        if not least <= (value := kind(text)) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not from {least} to {most}")
        return value

    return number


def _regular_file(text: str) -> Path:
    """Refuse what can be read only once: after whatever stopped it, an import reads its file from the beginning."""
    file = Path(text)
    if text != "-" and not file.exists():
        raise argparse.ArgumentTypeError(f"there is no file {file}")
    if not file.is_file():
        raise argparse.ArgumentTypeError(
            f"{file} is not a regular file. An import that stopped is run again from the beginning of its file, which "
            "a pipe does not offer twice: save the lines in a file and import that"
        )
    return file


def _address(url: str) -> str:
    """Return an address that requests can be sent to."""
    if not is_base_url(url):
        raise argparse.ArgumentTypeError(
            "an address is http://HOST or https://HOST, with :PORT if it needs one, without a user name or password"
        )
    return url.rstrip("/").removesuffix(_API)


def _why(error: Exception) -> str:
    """Return why the import stopped and what to do next."""
    if isinstance(error, UnexpectedResponse) or (isinstance(error, ApiError) and error.status in _NO_SUCH_PLACE):
        return f"{error}. Is --url the address of the command service?"
    if isinstance(error, Unauthorized):
        return f"the service refused the key: {error}. Check {API_KEY}. {_AGAIN}"
    if isinstance(error, ApiError):
        return f"the service refused the request: {error}. {_AGAIN}"
    if isinstance(error, HarborError):
        return f"gave up: {error.reason if isinstance(error, OutcomeUnknown) else error}. {_AGAIN}"
    return f"{error}. {_AGAIN}"


def summary(tally: Tally, elapsed_s: float) -> str:
    """Return what was done in one line."""
    rate = tally.orders_done / elapsed_s if elapsed_s else 0.0
    return (
        f"{orders_text(tally)} in {clock_text(elapsed_s)} ({rate:,.0f}/s): {tally.created:,} created, "
        f"{tally.replayed:,} were there already, {tally.refused:,} refused"
    )
