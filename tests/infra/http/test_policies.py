"""What an operator decides about all requests: pages of other origins, hosts, compression, API pages."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from infra.http.auth import Principal, requires
from infra.http.openapi.document import HEADERS
from infra.http.policies.accepted import accepts_gzip, accepts_json, prefers_html
from infra.http.policies.hosts import name_of
from infra.http.server.raw_route import RawRoute, ReadyResponse
from infra.settings import PublicSettings, SettingsError, load
from tests.support.services.small_service import client_of, listening, small_service, talk

PAGE = "https://app.example.com"
PROBES = ("/livez", "/readyz", "/health", "/metrics")
LARGE = b'{"data":[' + b",".join(b'{"number":%d}' % number for number in range(9_000)) + b"]}"
router = APIRouter(route_class=RawRoute)


@router.get("/api/v1/large")
async def large(_request: Request, _principal: Annotated[Principal, requires("orders:write")]) -> Response:
    return Response(LARGE, media_type="application/json")


@router.get("/api/v1/tagged")
async def tagged(_request: Request, _principal: Annotated[Principal, requires("orders:write")]) -> Response:
    return ReadyResponse(LARGE, 200, [(b"content-type", b"application/json"), (b"etag", b'"1"')])


@asynccontextmanager
async def service(**public: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Run a service with these settings and give a client with a key."""
    small = small_service(routers=[router], **public)
    async with client_of(small.app, authorization=f"Bearer {small.keys.issue()}") as client:
        yield client


def asked(method: str = "POST", headers: str = "authorization, idempotency-key", origin: str = PAGE) -> dict[str, str]:
    """Return what a browser asks before it sends a request for a page."""
    return {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": headers,
        "authorization": "",
    }


def cors_headers(response: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


async def test_a_page_of_a_listed_origin_may_call_the_service_and_read_its_headers() -> None:
    async with service(cors_origins=(PAGE,)) as client:
        preflight = await client.options("/api/v1/things", headers=asked())
        private = await client.options(
            "/api/v1/things", headers=asked() | {"access-control-request-private-network": "true"}
        )
        made = await client.post("/api/v1/things", headers={"origin": PAGE})
        refused = await client.post("/api/v1/things", headers={"origin": PAGE, "authorization": ""})
        malformed = await client.post("/api/v1/things", headers={"origin": PAGE, "accept": "text/html"})

    allowed = cors_headers(preflight)
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert allowed["access-control-allow-origin"] == PAGE
    assert "PATCH" in allowed["access-control-allow-methods"]
    assert {"Idempotency-Key", "If-Match"} <= set(allowed["access-control-allow-headers"].split(", "))
    assert "x-request-id" in preflight.headers
    assert (private.status_code, private.headers["access-control-allow-private-network"]) == (204, "true")
    for response, status in ((made, 201), (refused, 401), (malformed, 406)):
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (status, PAGE)
        assert response.headers["access-control-expose-headers"].split(", ") == list(HEADERS)
        assert "origin" in response.headers["vary"].lower()
        assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (asked(origin="https://evil.example.com"), "origin"),
        (asked(method="PUT"), "method"),
        (asked(headers="x-canary"), "headers"),
    ],
)
async def test_what_a_page_may_not_send_is_refused_before_it_is_sent(sent: dict[str, str], why: str) -> None:
    async with service(cors_origins=(PAGE,)) as client:
        response = await client.options("/api/v1/things", headers=sent)

    assert (response.status_code, response.json()["code"]) == (403, "cross_origin_refused")
    assert response.json()["detail"].endswith(f"Not allowed: {why}.")
    assert "canary" not in response.text
    assert ("access-control-allow-origin" in response.headers) is (why != "origin")


async def test_no_page_may_call_the_service_unless_its_origin_is_listed() -> None:
    async with service() as off, service(cors_origins=(PAGE,)) as listed:
        unlisted = await listed.post("/api/v1/things", headers={"origin": "https://evil.example.com"})
        made = await off.post("/api/v1/things", headers={"origin": PAGE})
        preflight = await off.options("/api/v1/things", headers=asked())

    assert (made.status_code, cors_headers(made)) == (201, {})
    assert (preflight.status_code, cors_headers(preflight), preflight.headers["allow"]) == (405, {}, "POST")
    assert "access-control-allow-origin" not in unlisted.headers


async def test_a_request_for_another_host_is_refused_but_probes_are_served() -> None:
    hosts = ("orders.example.com", "*.orders.example.com")
    names = {
        "orders.example.com": 201,
        "ORDERS.example.com:8000": 201,
        "a.b.orders.example.com.": 201,
        "evil.com": 421,
        "badorders.example.com": 421,
        "orders.example.com.evil.com": 421,
        "[::1]:8000": 421,
    }
    async with service(trusted_hosts=hosts) as client:
        for host, status in names.items():
            response = await client.post("/api/v1/things", headers={"host": host})
            assert response.status_code == status, host
            assert status != 421 or response.json()["code"] == "host_not_served"
        for path in PROBES:
            assert (await client.get(path, headers={"host": "10.0.0.7:8000"})).status_code == 200, path
    async with service() as client:
        assert (await client.post("/api/v1/things", headers={"host": "evil.com"})).status_code == 201


async def test_without_a_host_only_probes_are_served_where_hosts_are_listed() -> None:
    async with listening(small_service(trusted_hosts=("orders.example.com",)).app) as port:
        probe, page = [await talk(port, b"GET %b HTTP/1.0\r\n\r\n" % path) for path in (b"/health", b"/")]

    assert (probe.split()[1], page.split()[1]) == (b"200", b"421")


@pytest.mark.parametrize(
    ("host", "name"), [("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("A:80", "a"), ("a.", "a"), ("", ""), (":80", ":80")]
)
def test_a_host_is_compared_by_its_name(host: str, name: str) -> None:
    assert name_of(host) == name


async def test_a_large_response_is_compressed_for_a_client_that_accepts_it() -> None:
    async with service() as client:
        plain = await client.get("/api/v1/large", headers={"accept-encoding": "identity"})
        packed = await client.get("/api/v1/large", headers={"accept-encoding": "br, GZIP;q=0.5"})
        head = await client.head("/api/v1/large", headers={"accept-encoding": "gzip"})
        page = await client.get("/openapi.json", headers={"accept-encoding": "gzip"})

    assert (plain.content, packed.content, "content-encoding" in plain.headers) == (LARGE, LARGE, False)
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "accept-encoding")
    assert int(packed.headers["content-length"]) < len(LARGE) / 4
    assert (head.headers["content-length"], head.content) == (packed.headers["content-length"], b"")
    assert page.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("path", "public"),
    [
        ("/livez", {}),
        ("/api/v1/tagged", {}),
        ("/docs/favicon-32x32.png", {"gzip_min_bytes": 1}),
        ("/api/v1/large", {"gzip_min_bytes": 0}),
    ],
    ids=["small", "with an ETag", "an image", "switched off"],
)
async def test_what_gains_nothing_or_is_named_by_a_strong_etag_is_sent_as_it_is(
    path: str, public: dict[str, Any]
) -> None:
    async with service(**public) as client:
        response = await client.get(path, headers={"accept-encoding": "gzip"})

    assert (response.status_code, "content-encoding" in response.headers) == (200, False)


async def test_on_the_wire_a_compressed_response_is_whole() -> None:
    async with listening(small_service().app) as port:
        asked_for = b"GET /openapi.json HTTP/1.1\r\nhost: a\r\nconnection: close\r\naccept-encoding: gzip \r\n\r\n"
        head, _, body = (await talk(port, asked_for)).partition(b"\r\n\r\n")

    assert b"content-length: %d\r\n" % len(body) in head
    assert gzip.decompress(body).startswith(b'{"openapi":"3.1')


@pytest.mark.parametrize(
    ("header", "accepts"),
    [
        (b"gzip", True),
        (b"deflate, gzip;q=1.0, *;q=0.5", True),
        (b"*", True),
        (b"gzip ; q = 0.001", True),
        (b"gzip;q=0", False),
        (b"gzip;q=0.000, *", False),
        (b"*;q=0", False),
        (b"identity", False),
        (b"xgzip", False),
        (b"", False),
    ],
)
def test_gzip_is_accepted_unless_its_weight_is_zero(header: bytes, accepts: bool) -> None:
    assert accepts_gzip(header) is accepts


@pytest.mark.parametrize(
    ("header", "html", "json"),
    [
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True, True),
        (b"TEXT/HTML", True, False),
        (b"text/html;q=0", False, False),
        (b"text/html ; level=1 ; q=0.0, */*", False, True),
        (b"text/html;q=0.5, application/json", False, True),
        (b"text/html;q=0.75, application/json;q=0.8", False, True),
        (b"application/json, text/html", True, True),
        (b"application/json;q=0, application/problem+json;q=0.0, */*", False, False),
        (b"application/*;q=0.1", False, True),
        (b"text/html-not, application/jsonx", False, False),
        (b"*/*", False, True),
        (b"", False, False),
    ],
)
def test_an_accept_header_is_read_by_its_weights(header: bytes, html: bool, json: bool) -> None:
    assert (prefers_html(header), accepts_json(header)) == (html, json)


async def test_without_api_pages_their_addresses_do_not_exist() -> None:
    async with service(docs_enabled=False) as client:
        found = {path: await client.get(path) for path in ("/docs", "/docs/start.js", "/docs/openapi.json")}
        found["/openapi.json"] = await client.get("/openapi.json")
        home, nothing = await client.get("/"), await client.get("/nothing")

    assert {path: response.status_code for path, response in found.items()} == dict.fromkeys(found, 404)
    assert home.status_code == 200
    assert "/docs" not in home.text + nothing.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://app.example.com/"),
        ("CORS_ORIGINS", "app.example.com"),
        ("TRUSTED_HOSTS", "orders.example.com:8000"),
        ("TRUSTED_HOSTS", "*"),
        ("TRUSTED_HOSTS", "https://orders.example.com"),
        ("TRUSTED_HOSTS", "..."),
        ("TRUSTED_HOSTS", "orders..example.com"),
        ("TRUSTED_HOSTS", "-orders.example.com"),
        ("TRUSTED_HOSTS", "300.1.1.1"),
        ("TRUSTED_HOSTS", "*.[::1]"),
        ("TRUSTED_HOSTS", "*.10.0.0.1"),
        ("TRUSTED_HOSTS", "[::g]"),
        ("CORS_ORIGINS", "https://a:b:c"),
        ("CORS_ORIGINS", "https://a.example.com:99999"),
        ("CORS_ORIGINS", "https://..."),
        ("QUERY_URL", "http://a:b:c"),
        ("COMMAND_URL", "https://orders.example.com/"),
        ("GZIP_MIN_BYTES", "-1"),
    ],
)
def test_a_setting_that_would_never_match_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"HARBOR_PUBLIC__{name}", value)

    with pytest.raises(SettingsError, match=f"HARBOR_PUBLIC__{name}"):
        load(PublicSettings)


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARBOR_PUBLIC__CORS_ORIGINS", "https://a.example.com, http://localhost:5173,")
    monkeypatch.setenv("HARBOR_PUBLIC__TRUSTED_HOSTS", "a.example.com,*.b.example.com,[::1]")

    settings = load(PublicSettings)

    assert settings.cors_origins == ("https://a.example.com", "http://localhost:5173")
    assert settings.trusted_hosts == ("a.example.com", "*.b.example.com", "[::1]")


def test_addresses_may_be_written_otherwise_than_clients_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    origins = "https://app.example.com:443,http://x:80,HTTPS://B.example.com:8443,http://[0:0::1]:80"
    monkeypatch.setenv("HARBOR_PUBLIC__CORS_ORIGINS", origins)
    monkeypatch.setenv("HARBOR_PUBLIC__TRUSTED_HOSTS", "API.harbor.test.,*.harbor.test.,[0:0::1],10.0.0.1")
    monkeypatch.setenv("HARBOR_PUBLIC__COMMAND_URL", "")

    settings = load(PublicSettings)

    assert settings.cors_origins == (
        "https://app.example.com",
        "http://x",
        "https://b.example.com:8443",
        "http://[::1]",
    )
    assert settings.trusted_hosts == ("api.harbor.test", "*.harbor.test", "[::1]", "10.0.0.1")
    assert settings.command_url == ""
