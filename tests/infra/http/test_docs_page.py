"""The documentation page works without the internet: everything it needs comes from the service itself."""

import re

import pytest

from tests.support.small_service import client_of, small_service


async def test_the_page_and_all_it_needs_are_served_here() -> None:
    async with client_of(small_service().app) as client:
        page = await client.get("/docs")
        needed = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        answers = {path: (await client.get(path)) for path in needed}

    assert page.status_code == 200
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(needed, 200)
    assert sorted(needed) == [
        "/docs/favicon-32x32.png",
        "/docs/start.js",
        "/docs/swagger-ui-bundle.js",
        "/docs/swagger-ui.css",
    ]
    assert answers["/docs/swagger-ui-bundle.js"].headers["content-type"].startswith("text/javascript")


async def test_the_browser_is_told_to_ask_no_other_host() -> None:
    async with client_of(small_service().app) as client:
        page = await client.get("/docs")

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "<script>" not in page.text, "the policy forbids inline scripts"


async def test_the_page_shows_the_document_of_this_service() -> None:
    async with client_of(small_service().app) as client:
        start = await client.get("/docs/start.js")
        document = (await client.get("/openapi.json")).json()

    assert 'fetch("/openapi.json")' in start.text
    operation = document["paths"]["/api/v1/things"]["post"]
    assert operation["x-required-scopes"] == ["orders:write"]
    assert operation["security"] == [{"bearer": []}, {"x_api_key": []}]


@pytest.mark.parametrize("name", ["index.html", "..%2f..%2f__init__.py", "%2e%2e", "swagger-ui.js.map"])
async def test_no_other_file_is_served(name: str) -> None:
    async with client_of(small_service().app) as client:
        answer = await client.get(f"/docs/{name}")

    assert answer.status_code == 404
