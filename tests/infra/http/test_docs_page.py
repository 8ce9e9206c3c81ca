"""The documentation page works without the internet: everything it needs comes from the service itself."""

import re
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from command_api.openapi import document as command_document
from domain.order.status import Status
from infra.http.openapi.docs_page import to_try_out
from infra.settings import PublicSettings
from query_api.openapi import document as query_document
from tests.support.services.command_service import BATCH, memory_service
from tests.support.services.small_service import client_of, small_service


async def test_the_page_and_all_it_needs_are_served_here_and_the_browser_asks_no_other_host() -> None:
    async with client_of(small_service().app) as client:
        page = await client.get("/docs")
        needed = re.findall(r'(?:src|link rel="[a-z]+" href)="([^"]+)"', page.text)
        responses = {path: (await client.get(path)) for path in needed}

    assert page.status_code == 200
    assert {path: response.status_code for path, response in responses.items()} == dict.fromkeys(needed, 200)
    assert sorted(needed) == [
        "/docs/favicon-32x32.png",
        "/docs/start.js",
        "/docs/swagger-ui-bundle.js",
        "/docs/swagger-ui.css",
    ]
    assert responses["/docs/swagger-ui-bundle.js"].headers["content-type"].startswith("text/javascript")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "<script>" not in page.text, "the policy forbids inline scripts"


async def test_what_the_page_needs_is_counted_by_its_route() -> None:
    async with client_of(small_service().app) as client:
        for path in ("/docs", "/docs/start.js", "/docs/made-up"):
            await client.get(path)
        metrics = (await client.get("/metrics")).text

    assert re.findall(r'harbor_http_requests_total{method="GET",(route="/docs.*)} 1.0', metrics) == [
        'route="/docs",status="200"',
        'route="/docs/{name}",status="200"',
        'route="/docs/{name}",status="404"',
    ]
    assert "unmatched" not in metrics


@pytest.mark.parametrize("document", [command_document, query_document])
async def test_trying_out_begins_with_nothing_that_is_only_an_example(document: Callable[[], dict[str, Any]]) -> None:
    published = document()
    shown = to_try_out(published)

    assert published == document(), "the document itself keeps its examples"
    optional, keys = [], set()
    for methods in shown["paths"].values():
        for parameter in (each for operation in methods.values() for each in operation.get("parameters", ())):
            if parameter["name"] == "Idempotency-Key":
                keys.add(parameter["example"])
            elif not parameter["required"]:
                optional.append(parameter)
            else:
                assert "example" in parameter, parameter["name"]
    assert optional
    assert "example" not in orjson.dumps(optional).decode()
    assert keys <= {"new-for-each-request"}


def test_each_order_of_a_batch_that_is_tried_out_gets_a_new_key() -> None:
    operation = to_try_out(command_document())["paths"][BATCH]["post"]
    sent = operation["requestBody"]["content"]["application/json"]["example"]["orders"]

    assert {each["idempotency_key"] for each in sent} == {"new-for-each-request"}


async def test_the_page_shows_that_document_links_the_true_one_and_makes_a_new_key_for_each_request() -> None:
    service = small_service()
    async with client_of(service.app) as client:
        published = (await client.get("/openapi.json")).json()
        start = (await client.get("/docs/start.js")).text
        copy = await client.get("/docs/openapi.json")

    [spec] = re.findall(r"^  spec: (.*),$", start, flags=re.MULTILINE)
    assert (orjson.loads(spec), published) == (to_try_out(service.app.openapi()), service.app.openapi())
    assert published["openapi"] == "3.1.0"
    assert copy.status_code == 404, "a client would be generated from it"
    operation = published["paths"]["/api/v1/things"]["post"]
    assert operation["x-required-scopes"] == ["orders:write"]
    assert operation["security"] == [{"bearer": []}, {"x_api_key": []}]
    assert 'updateUrl("/openapi.json")' in start
    assert 'request.headers ?? {})["Idempotency-Key"] === "new-for-each-request"' in start
    assert "request.body.replaceAll('\"new-for-each-request\"'" in start
    assert "requestInterceptor: withNewKeys" in start


def test_a_parameter_that_may_be_left_out_is_shown_as_what_it_is() -> None:
    published = query_document()
    parameters = {
        (path, each["name"]): each["schema"]
        for path, methods in to_try_out(published)["paths"].items()
        for each in methods["get"]["parameters"]
    }

    assert parameters["/api/v1/orders", "status"]["enum"] == list(Status)
    assert "enum" in parameters["/api/v1/webhook-deliveries", "status"]
    assert parameters["/api/v1/orders", "created_from"]["format"] == "date-time"
    assert not any("anyOf" in schema for schema in parameters.values())
    assert to_try_out(published)["servers"] == [{"url": "/"}], "the policy of the page allows no other"


async def test_the_page_leads_to_the_document_the_errors_and_the_other_service() -> None:
    public = PublicSettings(command_url="http://orders.test", query_url="http://queries.test")
    async with memory_service(public=public) as service:
        page = await service.http.get("/docs")

    links = ["/", "/openapi.json", "/errors", "http://queries.test/docs"]
    assert re.findall(r'<a href="([^"]+)">', page.text) == links


async def test_swagger_ui_reads_openapi_3_1_and_shows_webhooks() -> None:
    async with client_of(small_service().app) as client:
        script = (await client.get("/docs/swagger-ui-bundle.js")).text

    assert "oas31" in script.lower()


@pytest.mark.parametrize("name", ["index.html", "..%2f..%2f__init__.py", "%2e%2e", "swagger-ui.js.map"])
async def test_no_other_file_is_served(name: str) -> None:
    async with client_of(small_service().app) as client:
        response = await client.get(f"/docs/{name}")

    assert response.status_code == 404
