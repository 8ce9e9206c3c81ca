"""The page, its tables, its plots and its verdicts."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.bench.model import HOT, HOT_ALONE, HOT_ORDER, HOT_WRITERS, Case, Layer, Report, Run, Wait
from tests.bench.plot import Line, Plot, svg, ticks
from tests.bench.render import PageError, filled, write
from tests.bench.stats import Spread, latency_of
from tests.bench.tables import Table, markdown
from tests.bench.verdicts import verdicts


def runs(rate: float, p99_s: float = 0.005) -> tuple[Run, ...]:
    return tuple(
        Run(round=number, seconds=1.0, done=int(rate), per_s=rate * factor, latency=latency_of([0.001, p99_s]))
        for number, factor in enumerate((1.0, 0.9, 1.1))
    )


def a_report() -> Report:
    cases = [
        Case(suite="create", target=target, size=size, runs=runs(rate * size))
        for target, rate in (
            ("harbor", 60.0),
            ("group_commit", 80.0),
            ("eventsourcing", 5.0),
            ("crud", 6.0),
            ("empty", 99.0),
        )
        for size in (1, 16, 64)
    ]
    cases += [
        Case(suite="open", target="harbor", size=64, runs=runs(500.0), offered_per_s=rate) for rate in (500.0, 900.0)
    ]
    cases += [
        Case(suite=suite, target="harbor", size=64, runs=runs(300.0, p99_s), offered_per_s=300.0)
        for suite, p99_s in ((HOT_ALONE, 0.004), (HOT, 0.005))
    ]
    cases += [Case(suite=HOT_ORDER, target="harbor", size=HOT_WRITERS, runs=runs(900.0))]
    cases += [Case(suite="replay", target="harbor", size=16, runs=runs(1200.0))]
    cases += [Case(suite="append", target=target, size=50, runs=runs(33_000.0)) for target in ("append", "insert")]
    cases += [Case(suite="batch", target="harbor", size=size, runs=runs(9000.0 + size)) for size in (1, 2, 4)]
    return Report(
        started_at="2026-11-23 01:02 UTC",
        machine={"processor": "some"},
        is_quick=False,
        cases=tuple(cases),
        layers=(Layer(name="decide", share=1.0, us=10.0),),
        samples={"a;b": 3, "a;c": 1},
        waits=(Wait(connections=1, seen_by_client_ms=1.0, in_service_ms=0.9, append_call_ms=0.5, batch_commands=1.0),),
        left_out={"crud": "no driver"},
    )


def test_a_page_is_begun_and_filled_and_what_others_wrote_stays(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    # given a page that somebody wrote into
    write(a_report(), page, tmp_path / "plots")
    page.write_text(page.read_text().replace("## Create\n", "## Create\n\nA remark of ours.\n"))
    # when it is filled again
    written = write(a_report(), page, tmp_path / "plots")
    # then the remark stays, and every plot the page shows is there
    text = page.read_text()
    assert text.count("A remark of ours.") == 1
    assert "| **Harbor Orders** | 16 | 960 (864-1,056) |" in text
    assert "| **Harbor Orders**, 200 writers on one other order | 1 s x 3 | 300 |" in text
    assert "| hot order | 200 | 900 (810-990) |" in text
    assert {path.name for path in written} == {
        "benchmarks.md",
        "throughput.svg",
        "p99.svg",
        "p50.svg",
        "open.svg",
        "flame.svg",
    }
    assert all(f"benchmarks/{path.name}" in text for path in written[1:])


def test_a_page_without_the_markers_is_refused() -> None:
    with pytest.raises(PageError, match="begin create"):
        filled("# Something else", {"create": "x"})


def test_a_table_in_markdown_aligns_numbers_to_the_right() -> None:
    table = Table("key", "title", ("target", "req/s"), (("ours", "1,000"),))
    assert markdown(table) == "| target | req/s |\n| --- | ---: |\n| ours | 1,000 |"


def test_verdicts_compare_medians_of_ratios_with_the_targets() -> None:
    told = {each.what: (each.measured, each.is_met) for each in verdicts(a_report())}
    assert told["create, 16 connections: ours / `eventsourcing`"] == ("12.0", True)
    assert told["create, 16 connections: ours / CRUD"] == ("10.0", False)
    assert told["replays / creates, 16 connections"] == ("1.25", True)
    assert told["orders in batches of 500, one process, 4 connections"] == ("9,004/s (8,104-9,904)", False)
    assert told["append call, 50 commands each"] == ("33,000/s (29,700-36,300)", True)
    assert told["other orders' p99 while 200 writers are on one order / alone"] == ("1.25", False)
    assert told["4 processes on one log / one process"] == ("not measured", None)


def test_a_report_survives_json() -> None:
    assert Report.model_validate_json(a_report().model_dump_json()) == a_report()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(3, 80, [2, 5, 10, 20, 50, 100]), (500, 45_000, [100, 1000, 10_000, 100_000]), (7, 7, [5, 10])],
)
def test_ticks_are_round_and_enclose_the_values(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == expected


def test_a_line_has_its_colour_whatever_stands_beside_it() -> None:
    line = Line("peer", ((1.0, Spread(100, 90, 110)), (64.0, Spread(90, 80, 100))), 2)
    colours = [
        next(path.attrib["fill"] for path in ET.fromstring(drawn).iter() if path.text == "peer")  # noqa: S314  # our own
        for drawn in (svg(Plot("t", "x", "y", lines)) for lines in ((line,), (replace(line, name="a", mark=0), line)))
    ]
    assert colours[0] == colours[1]


def test_a_plot_is_well_formed_and_its_names_do_not_overlap() -> None:
    lines = tuple(
        Line(name, ((1.0, Spread(100, 90, 110)), (64.0, Spread(100 + number, 90, 110))), number)
        for number, name in enumerate(("ours & theirs", "b", "c"))
    )
    drawn = ET.fromstring(svg(Plot("A <title>", "connections", "req/s", lines)))  # noqa: S314  # our own
    texts = {text.text: float(text.attrib["y"]) for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    heights = sorted(texts[name] for name in ("ours & theirs", "b", "c"))
    assert all(below - above >= 14 for above, below in pairwise(heights))
