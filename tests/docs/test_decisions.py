"""The documents name what exists: every path of a Python or SQL file in a decision or a guide is in the checkout."""

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [
        ROOT / "ARCHITECTURE.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs" / "decisions").glob("*.md"),
        *(ROOT / "docs" / "guides").glob("*.md"),
    ]
)
_PATH = re.compile(r"(?<![\w./-])(?:\.\./)*((?:[\w.-]+/)*[\w-]+\.(?:py|sql))\b")
_PLACEHOLDER = "NAME.py"
_SKIPPED = {".git", ".venv", "node_modules", ".harbor"}


def _files() -> set[str]:
    found: set[str] = set()
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        found |= {f"/{Path(folder, name).relative_to(ROOT)}" for name in names if name.endswith((".py", ".sql"))}
    return found


FILES = _files()


def unknown_paths(text: str) -> list[str]:
    """Return the paths that a text names and the checkout lacks; the end of a path is enough."""
    named = [path for path in _PATH.findall(text) if not path.endswith(_PLACEHOLDER)]
    return [path for path in named if not any(file.endswith(f"/{path}") for file in FILES)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    assert unknown_paths(document.read_text(encoding="utf-8")) == []


def test_a_path_that_does_not_exist_is_noticed() -> None:
    text = "Enforced by: tests/domain/test_gone.py, test_decisions.py (both), `domain/order/decide.py`, 0099_gone.sql."

    assert unknown_paths(text) == ["tests/domain/test_gone.py", "0099_gone.sql"]
