"""Every code that clients rely on is named by a test; otherwise its meaning could change unnoticed."""

from pathlib import Path

import pytest

from command_api import catalogue
from infra.http import problems
from query_api import problems as query_problems

TESTS = Path(__file__).parent
CODES = sorted(kind.code for kind in (*problems.CATALOGUE, *catalogue.CATALOGUE, *query_problems.CATALOGUE))
FIELD_CODES = sorted({*catalogue.FIELD_CODES, *query_problems.FIELD_CODES})


@pytest.fixture(scope="module")
def tests() -> str:
    """Return the text of all tests but this one."""
    return "\n".join(path.read_text() for path in TESTS.rglob("*.py") if path != Path(__file__))


@pytest.mark.parametrize("code", CODES + FIELD_CODES)
def test_a_code_is_expected_by_some_test(tests: str, code: str) -> None:
    assert f'"{code}"' in tests
