"""Send orders through the whole system, then reconcile every place that should know of them.

Exit status: 0 everything agrees; 1 something was lost or doubled; 2 the demo could not run.
"""

import argparse
import asyncio
import secrets
import sys
from pathlib import Path

import uvloop
from rich.console import Console

from infra.local.processes.interrupts import take_signals
from tests.demo import report
from tests.demo.journey import travel
from tests.demo.orders import BadFileError, generated, invoices
from tests.demo.partner import GaveUpError
from tests.demo.stack import PARTNER, NoStackError, stack


def main() -> int:
    """Run the demo; return the exit status."""
    take_signals()
    parser = argparse.ArgumentParser(
        prog="make demo", description=__doc__, epilog='Example: make demo ARGS="--file invoices.csv"'
    )
    parser.add_argument("--orders", type=int, default=500, help="how many generated orders (default 500)")
    columns = "invoice, stock_code, quantity, unit_price, customer_id"
    parser.add_argument("--file", type=Path, help=f"send the invoices of this CSV instead (columns: {columns})")
    parser.add_argument(
        "--concurrency", type=int, default=1, help="orders under way at once (default 1: latency without a queue)"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the generated orders (default 1)")
    given = parser.parse_args()
    if given.orders < 1 or given.concurrency < 1:
        parser.error("--orders and --concurrency are at least 1")
    run = f"demo-{secrets.token_hex(4)}"
    console = Console()
    try:
        drafts = invoices(given.file, run) if given.file else list(generated(given.orders, given.seed, run))
        with stack() as target:
            console.print(
                f"{len(drafts)} orders to {target.command_api} as {PARTNER}, run {run}, {given.concurrency} at a time"
            )
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                journey = runner.run(travel(target, drafts, given.concurrency, run, total=len(drafts)))
    except (BadFileError, NoStackError, GaveUpError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 2
    anomalies = journey.anomalies()
    report.show(console, journey, anomalies)
    return 1 if anomalies else 0


if __name__ == "__main__":
    sys.exit(main())
