"""The index of decisions lists each of them, by its title."""

from pathlib import Path
from typing import Final

DECISIONS: Final = Path(__file__).resolve().parents[2] / "docs" / "decisions"


def test_the_index_lists_every_decision_by_its_title() -> None:
    titles = [
        f"- [{page.read_text().splitlines()[0].removeprefix('# ')}]({page.name})"
        for page in sorted(DECISIONS.glob("0*.md"))
    ]
    index = (DECISIONS / "README.md").read_text().splitlines()

    assert [line for line in index if line.startswith("- ")] == titles
