"""The pages for people: every `type` of a problem leads to one, `/` leads on, and other clients get JSON."""

import re

import httpx
import pytest

from infra.http.problems import NOT_FOUND
from infra.settings import PublicSettings
from tests.support.requests.route_matrix import ServiceName, app_of
from tests.support.services.command_service import memory_service
from tests.support.services.small_service import client_of, small_service

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
NO_SCRIPT = "default-src 'none'; style-src 'sha256-"


def links_of(page: httpx.Response) -> list[str]:
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith(NO_SCRIPT)
    assert "accept" in page.headers["vary"].split(", ")
    return re.findall(r'<a href="([^"]+)">', page.text)


@pytest.mark.parametrize("service", ["command", "query"])
async def test_every_error_of_the_list_has_a_page_that_says_what_to_do(service: ServiceName) -> None:
    # Not started: the pages need nothing that could be down.
    transport = httpx.ASGITransport(app_of(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://harbor.test") as client:
        every = (await client.get("/errors")).json()
        listed = links_of(await client.get("/errors", headers=BROWSER))

        assert {f"/errors/{kind['code']}" for kind in every["problems"]} <= set(listed)
        for kind in every["problems"]:
            page = await client.get(f"/errors/{kind['code']}", headers=BROWSER)
            assert page.status_code == 200
            assert {"/errors", "/"} <= set(links_of(page))
            assert kind.items() <= (await client.get(f"/errors/{kind['code']}")).json().items()
        for code, meaning in every["fields"].items():
            assert "/errors/validation_failed" in links_of(await client.get(f"/errors/{code}", headers=BROWSER))
            document = (await client.get(f"/errors/{code}")).json()
            assert (document["code"], document["in_errors"]) == (code, meaning)


async def test_the_type_of_a_problem_is_the_address_of_its_page() -> None:
    async with client_of(small_service().app) as client:
        problem = (await client.get("/api/v1/nothing")).json()
        page = await client.get(problem["type"], headers=BROWSER)

    assert problem["code"] == NOT_FOUND.code
    assert f"<h1>{NOT_FOUND.title}</h1>" in page.text
    assert NOT_FOUND.detail in page.text


@pytest.mark.parametrize("headers", [BROWSER, {}])
async def test_a_code_that_nothing_has_is_404_and_not_repeated(headers: dict[str, str]) -> None:
    async with client_of(small_service().app) as client:
        page = await client.get("/errors/canary7f3a9", headers=headers)

    assert page.status_code == 404
    assert "canary7f3a9" not in page.text
    assert headers or (page.headers["content-type"], page.json()["code"]) == ("application/problem+json", "not_found")


async def test_the_first_page_leads_to_all_others_and_to_the_other_service() -> None:
    public = PublicSettings(command_url="http://orders.test", query_url="http://queries.test")
    async with memory_service(public=public) as service:
        page = await service.http.get("/", headers=BROWSER)
        document = (await service.http.get("/")).json()
        here = {path: (await service.http.get(path)).status_code for path in document["links"]}

    assert here == dict.fromkeys(["/docs", "/openapi.json", "/errors", "/livez", "/readyz", "/health", "/metrics"], 200)
    assert links_of(page) == [*here, "http://queries.test/"]
    assert (document["service"], document["other_service"]) == ("command", "http://queries.test/")


async def test_the_first_page_names_no_other_address_when_there_is_one_for_both() -> None:
    async with memory_service() as service:
        assert (await service.http.get("/")).json()["other_service"] is None
        assert not any("://" in address for address in links_of(await service.http.get("/", headers=BROWSER)))


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_browser_at_a_wrong_address_gets_a_page(method: str) -> None:
    async with client_of(small_service().app) as client:
        missed = [
            await client.request(method, path, headers=BROWSER) for path in ("/canary7f3a9", "/docs/", "/errors/x")
        ]
        api = await client.request(method, "/api/v1/nothing", headers=BROWSER)

    for page in missed:
        assert page.headers["content-security-policy"].startswith(NO_SCRIPT)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.status_code in {404, 405}
        assert "canary" not in page.text
        assert method == "HEAD" or links_of(page)[-1] == "/"
        assert method == "HEAD" or page.headers["x-request-id"] in page.text
    assert (api.status_code, api.headers["content-type"]) == (404, "application/problem+json")


async def test_pages_are_counted_by_their_route() -> None:
    async with client_of(small_service().app) as client:
        for path in ("/", "/errors/not_found", "/errors/rate_limited"):
            await client.get(path)
        metrics = (await client.get("/metrics")).text

    counted = re.findall(r'harbor_http_requests_total{method="GET",(route="[^"]*"),status="200"} (\d)', metrics)
    assert counted == [('route="/"', "1"), ('route="/errors/{code}"', "2")]
