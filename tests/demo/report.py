"""The table at the end of the demo."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.demo.journey import Journey
from tests.demo.partner import Ledger
from tests.faults.checker import Anomaly, Outcome

SHOWN_ANOMALIES = 10
SHOWN_LINES = 5


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the values lie; 0 when there is none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def _spread(name: str, values: Sequence[float]) -> str:
    return f"{name:<20}p50 {percentile(values, 0.5):.1f} ms   p99 {percentile(values, 0.99):.1f} ms"


def show(console: Console, journey: Journey, anomalies: Sequence[Anomaly]) -> None:
    """Print what was sent, what every place holds, how long it took, and whether all of it agrees."""
    history, ledger, seconds = journey.history, journey.ledger, journey.seconds
    acknowledged = {reply.order_id for reply in history.replies if reply.creates and reply.outcome is Outcome.OK}
    unknown = sum(1 for reply in history.replies if reply.outcome is Outcome.UNKNOWN)
    events = len(history.store)
    table = Table(title="Reconciliation", title_justify="left")
    for name in ("what", "count", "expected", ""):
        table.add_column(name, justify="left" if name in {"what", ""} else "right")

    def row(what: str, count: int, expected: int) -> None:
        table.add_row(what, str(count), str(expected), "ok" if count == expected else "DIFFERS")

    row("orders stored", len({event.order_id for event in history.store}), len(acknowledged))
    table.add_row("events stored", str(events), "", "")
    if history.topic is None:
        table.add_row("topic records", "-", "", "no broker in this stack")
    else:
        distinct = {record.event_id for record in history.topic}
        row("topic records", len(distinct), events)
        table.add_row("  repeats on the topic", str(len(history.topic) - len(distinct)), "", "harmless")
    row("read-model orders", len(history.orders or ()), len(acknowledged))
    row("read-model timeline rows", len(history.timeline or ()), events)
    receipts = history.receipts or ()
    verified = {receipt.webhook_id for receipt in receipts if receipt.verified}
    row("webhooks verified", len(verified), events)
    table.add_row(
        "  repeated attempts", str(len(receipts) - len({item.webhook_id for item in receipts})), "", "harmless"
    )
    console.print(table)
    _refusals(console, ledger)
    console.print(_spread("create over HTTP", ledger.create_ms))
    console.print(
        f"{_spread('append to visible', ledger.visible_ms)}   (from the 201 until the query service shows it)",
        soft_wrap=True,
    )
    console.print(
        f"{len(acknowledged)} orders in {seconds:.1f} s; {unknown} of unknown outcome, each resolved by its key",
        soft_wrap=True,
    )
    if not anomalies:
        console.print("[bold green]Reconciled:[/] nothing lost, nothing doubled.")
        return
    console.print(f"[bold red]{len(anomalies)} anomalies:[/]")
    for anomaly in anomalies[:SHOWN_ANOMALIES]:
        console.print(f"  {anomaly.name}: {anomaly.detail}", markup=False)


def _refusals(console: Console, ledger: Ledger) -> None:
    """Print what was refused and why; nothing is dropped silently."""
    if not ledger.refused:
        return
    table = Table(title="Refused by the API", title_justify="left")
    table.add_column("reason")
    table.add_column("lines or orders", justify="right")
    table.add_column("for example")
    for code, count in ledger.refused.most_common():
        examples = [source for source, reason in ledger.refused_lines if reason == code][:SHOWN_LINES]
        table.add_row(code, str(count), ", ".join(examples))
    console.print(table)
    console.print(f"{ledger.refused_orders} orders were refused as a whole (no line left, or a rule on the order)")
