"""What the Makefile and the documents promise as `make TARGET` is there."""

import re
import subprocess
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[2]
MAKEFILE: Final = (CHECKOUT / "Makefile").read_text()
HELPED: Final = frozenset(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
DOCUMENTS: Final = [
    *(CHECKOUT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")),
    *sorted((CHECKOUT / "docs").rglob("*.md")),
]


def made_in(text: str) -> set[str]:
    """Return the targets of the commands `make ...` in code of a Markdown text: fenced, or between backquotes."""
    code = [*re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL), *re.findall(r"`([^`\n]+)`", text)]
    commands = [line for each in code for line in re.findall(r"^(?:[A-Z_]+=\S* )*make (.*)", each, re.MULTILINE)]
    words = [re.sub(r'[A-Z]+=("[^"]*"|\S*)|#.*', "", command).split() for command in commands]
    return {word for each in words for word in each[:1]}


def test_every_target_has_a_rule_and_a_line_of_help() -> None:
    [phony] = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)

    assert set(phony.split()) == HELPED


def test_the_help_is_in_two_columns() -> None:
    shell = ["/bin/sh", "-c", "make --no-print-directory help"]  # make test is a make as well
    said = subprocess.run(  # noqa: S603  # fixed words
        shell, cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    ends = {len(match[0]) for match in re.finditer(r"^  make \S+ +", said, re.MULTILINE)}

    assert len(ends) == 1
    assert len(said.splitlines()) == len(HELPED)


def test_every_target_that_a_document_names_is_there() -> None:
    named = {(path.name, target) for path in DOCUMENTS for target in made_in(path.read_text())}

    assert {"up", "down", "demo", "bench"} <= {target for _, target in named}
    assert [(name, target) for name, target in sorted(named) if target not in HELPED] == []
