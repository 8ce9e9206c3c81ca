"""What is said in several places about a run is the same everywhere."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.bench.__main__ import main

CHECKOUT = Path(__file__).resolve().parents[2]
PLACES = {
    "README.md": r"make bench .*\((\d+) minutes;",
    "Makefile": r"^bench: .*, (\d+) minutes\.",
    "docs/benchmarks.md": r"^make bench .*# about (\d+) minutes;",
    "tests/bench/page.md": r"^make bench .*# about (\d+) minutes;",
}


def minutes_of_help() -> list[str]:
    """Return the minutes a full run takes as the command itself says."""
    told = " ".join(CliRunner().invoke(main, ["--help"]).output.split())
    return re.findall(r"A full run takes about (\d+) minutes", told)


@pytest.mark.parametrize("place", PLACES)
def test_how_long_a_full_run_takes_is_the_same_everywhere(place: str) -> None:
    told = re.findall(PLACES[place], (CHECKOUT / place).read_text(encoding="utf-8"), re.MULTILINE)

    assert told == minutes_of_help() == ["30"]
