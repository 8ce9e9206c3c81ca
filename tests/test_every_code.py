"""Every code that clients rely on is named by a test, or its meaning could change unnoticed, and has a page."""

from pathlib import Path

import httpx
import pytest

from command_api import catalogue
from infra.http import problems
from query_api import problems as query_problems
from tests.support.requests.route_matrix import ServiceName, app_of

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


@pytest.mark.parametrize("service", ["command", "query"])
async def test_either_service_has_a_page_about_every_code_of_both(service: ServiceName) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app_of(service)), base_url="http://a.test") as client:
        pages = {code: (await client.get(f"/errors/{code}")).status_code for code in CODES + FIELD_CODES}

    assert pages == dict.fromkeys(pages, 200)
