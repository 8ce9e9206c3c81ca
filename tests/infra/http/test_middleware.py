"""The request middleware: one id, one log line and one form of response for every request, whatever happens."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import orjson
import pytest
import structlog
from starlette.types import Message

from infra.http.guards import Limits
from tests.support.services.small_service import (
    IMPATIENT,
    SmallService,
    WithState,
    client_of,
    listening,
    small_service,
    talk,
)
from tests.support.waiting import eventually


@pytest.fixture
def service() -> SmallService:
    return small_service()


@pytest.fixture
async def client(service: SmallService) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(service.app, authorization=f"Bearer {service.keys.issue()}") as client:
        yield client


async def test_a_response_carries_a_new_request_id_and_is_never_cached(client: httpx.AsyncClient) -> None:
    first, second = await client.post("/api/v1/things"), await client.post("/api/v1/things")

    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert first.headers["cache-control"] == "no-store"
    assert first.headers["x-content-type-options"] == "nosniff"


async def test_a_request_id_is_kept_unless_it_could_harm_a_log(client: httpx.AsyncClient) -> None:
    for given in ("a", "order-42_x.Y", "a" * 128, "", "a" * 129, "a b", "a\x1b[31m", 'a"b', "ä"):
        response = await client.post("/api/v1/things", headers=[(b"x-request-id", given.encode("latin-1"))])

        is_good = re.fullmatch(r"[A-Za-z0-9._-]{1,128}", given) is not None
        assert (response.headers["x-request-id"] == given) is is_good, given


@pytest.mark.parametrize(
    ("given", "logged"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", False),
        ("4bf92f3577b34da6", False),
    ],
)
async def test_the_log_line_names_the_callers_trace_when_it_is_valid(
    client: httpx.AsyncClient, given: str, *, logged: bool
) -> None:
    with structlog.testing.capture_logs() as logs:
        await client.get("/api/v1/broken", headers={"traceparent": given})

    assert logs[0].get("traceparent") == (given if logged else None)


async def test_an_unexpected_error_shows_the_client_its_request_id_and_nothing_else(
    client: httpx.AsyncClient,
) -> None:
    with structlog.testing.capture_logs() as logs:
        response = await client.get("/api/v1/broken", headers={"x-request-id": "r-1"})

    assert response.status_code == 500
    assert response.json() == {
        "type": "/errors/internal_error",
        "title": "Internal error",
        "status": 500,
        "detail": "Something went wrong here; report the request id.",
        "instance": "/api/v1/broken",
        "code": "internal_error",
        "request_id": "r-1",
        "retryable": True,
    }
    assert logs[0]["error"] == "RuntimeError"
    assert "secret-canary" not in str(logs), "a message may hold data"


@pytest.mark.parametrize(
    ("path", "instance"),
    [
        ("/api/v1/things/019a8b5c-0000-7000-8000-000000000000", "/api/v1/things/019a8b5c-0000-7000-8000-000000000000"),
        ("/api/v1/things/8Zk2Qp1x", "/api/v1/things/8Zk2Qp1x"),
        ("/api/v1/brok%65n", "/api/v1/broken"),
        ("/CANARY%3Cscript%3E", "urn:request:r-1"),
        ("/api/v1/things/CANARY%3Cscript%3E", "urn:request:r-1"),
        ("/api/v1/things/canary-of-somebody", "urn:request:r-1"),
        ("/api/v1/broken/CANARY", "urn:request:r-1"),
        ("/" + "CANARY" * 4_000, "urn:request:r-1"),
    ],
)
async def test_an_instance_names_an_address_of_ours_and_repeats_nothing_else(
    client: httpx.AsyncClient, path: str, instance: str
) -> None:
    for method in ("GET", "DELETE"):
        response = await client.request(method, path, headers={"x-request-id": "r-1"})

        assert response.status_code >= 400
        assert len(response.content) < 1_000
        assert response.json()["instance"] in {instance, "urn:request:r-1"}
        assert "canary" not in response.text.lower()
    assert (await client.get(path, headers={"x-request-id": "r-1"})).json()["instance"] == instance


async def test_there_is_one_log_line_with_the_name_and_fields_a_handler_gave(client: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs() as logs:
        await client.post("/api/v1/things", headers={"x-request-id": "r-2"})

    assert [line["event"] for line in logs] == ["thing.created"]
    assert dict(logs[0]) | {"duration_ms": 0, "key_id": ""} == {
        "event": "thing.created",
        "log_level": "info",
        "request_id": "r-2",
        "method": "POST",
        "route": "/api/v1/things",
        "status": 201,
        "duration_ms": 0,
        "key_id": "",
        "partner": "acme",
        "livemode": False,
    }


async def test_a_request_past_its_deadline_gets_503() -> None:
    service = small_service(IMPATIENT)
    async with client_of(service.app, authorization=f"Bearer {service.keys.issue()}") as client:
        response = await client.get("/api/v1/slow")

    assert response.status_code == 503
    assert response.json()["code"] == "deadline_exceeded"
    assert response.headers["retry-after"] == "1"


async def test_a_request_whose_process_is_cut_off_gets_a_problem_that_says_how_to_find_out(
    service: SmallService,
) -> None:
    sent: list[Message] = []

    async def never() -> Message:
        await asyncio.Event().wait()
        return {}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", b"a"), (b"authorization", f"Bearer {service.keys.issue()}".encode())]
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": "/api/v1/slow", "query_string": b"",
        "headers": headers,
    }  # fmt: skip
    async with service.app.router.lifespan_context(service.app) as state:
        serving = asyncio.create_task(WithState(service.app, state or {})(scope, never, send))
        for _ in range(20):
            await asyncio.sleep(0)  # until it is inside
        serving.cancel()
        await asyncio.wait([serving])

    start, body = sent
    assert serving.cancelled()
    assert (start["status"], orjson.loads(body["body"])["code"]) == (503, "deadline_exceeded")
    assert dict(start["headers"])[b"connection"] == b"close"


async def test_a_full_service_refuses_at_once_and_its_operator_still_sees_it() -> None:
    service = small_service(Limits(max_in_flight=2, deadline_s=60, max_body_bytes=1000))
    async with client_of(service.app, authorization=f"Bearer {service.keys.issue()}") as client:
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(client.get("/api/v1/slow")) for _ in range(2)]
            for _ in range(20):
                await asyncio.sleep(0)  # until both are inside
            refused, alive = await client.get("/api/v1/slow"), await client.get("/livez")
            service.release.set()
        after = await client.post("/api/v1/things")

    assert [refused.status_code, refused.json()["code"]] == [503, "overloaded"]
    assert refused.headers["retry-after"] == "1"
    assert alive.status_code == 200
    assert [task.result().status_code for task in waiting] == [200, 200]
    assert after.status_code == 201


async def inside(client: httpx.AsyncClient, number: int) -> None:
    """Wait until so many requests are inside the service, and the one that asks."""

    async def counted() -> bool:
        return f"harbor_http_requests_in_flight {number + 1}.0" in (await client.get("/metrics")).text

    await eventually(counted)


async def test_bodies_that_trickle_take_no_place_of_requests_at_work() -> None:
    service = small_service(Limits(max_in_flight=2, deadline_s=60, max_body_bytes=1000, max_arriving=20))
    key = service.keys.issue()
    head = b"POST /api/v1/things HTTP/1.1\r\nhost: a\r\nauthorization: Bearer " + key.encode()
    async with listening(service.app) as port:
        address = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=address, headers={"authorization": f"Bearer {key}"}) as client:
            slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
            for _, writer in slow[:19]:
                writer.write(head + b"\r\ncontent-length: 2\r\n\r\n{")
            await inside(client, 19)
            served = await client.post("/api/v1/things", content=b"{}")
            slow[19][1].write(head + b"\r\ncontent-length: 2\r\n\r\n{")
            await inside(client, 20)
            refused = await client.post("/api/v1/things", content=b"{}")
            for _, writer in slow:
                writer.write(b"}")
            finished = [await reader.readuntil(b"\r\n") for reader, _ in slow]
            for _, writer in slow:
                writer.close()

    assert served.status_code == 201
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "overloaded", "1")
    assert {status.split()[1] for status in finished} == {b"201"}


async def test_bodies_together_hold_no_more_than_a_bound() -> None:
    limits = Limits(max_in_flight=9, deadline_s=60, max_body_bytes=1000, max_held_bytes=1500)
    service = small_service(limits)
    head = b"POST /api/v1/things HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: Bearer "
    head += service.keys.issue().encode() + b"\r\ncontent-length: 1000\r\n\r\n"
    async with listening(service.app) as port:
        first_reader, first = await asyncio.open_connection("127.0.0.1", port)
        first.write(head + b"a" * 999)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await inside(client, 1)
        second = await talk(port, head + b"a" * 1000)
        first.write(b"a")
        finished = await first_reader.read()
        first.close()
        third = await talk(port, head + b"a" * 1000)

    assert [response.split(b" ", 2)[1] for response in (second, finished, third)] == [b"503", b"201", b"201"]


@pytest.mark.parametrize("path", ["/orders", "/doc", "/errors/a/b", "/api/v1/nothing"])
async def test_an_unknown_address_is_404_without_a_key_too_and_names_the_page(
    client: httpx.AsyncClient, path: str
) -> None:
    response = await client.get(path, headers={"authorization": ""})

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert response.json()["detail"] == "There is nothing here; / shows what there is."


async def test_a_405_names_all_methods_of_the_address(client: httpx.AsyncClient) -> None:
    response = await client.patch("/api/v1/twice")

    assert [response.status_code, response.headers["allow"]] == [405, "GET, HEAD, PUT"]


@pytest.mark.parametrize("path", ["/livez/", "/docs/", "/api/v1/things/", "/api/v1/things/8Zk2Qp1x/", "/nothing/"])
async def test_an_address_has_no_slash_at_its_end(client: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "POST"):
        response = await client.request(method, path)

        assert (response.status_code, response.json()["code"]) == (404, "not_found")
        assert response.json()["detail"] == "No address here ends with a slash; leave it out."


@pytest.mark.parametrize(
    ("accept", "status"),
    [("*/*", 201), ("application/json", 201), ("text/html, application/*;q=0.5", 201), ("text/html", 406)],
)
async def test_a_client_that_accepts_no_json_is_refused(client: httpx.AsyncClient, accept: str, status: int) -> None:
    response = await client.post("/api/v1/things", headers={"accept": accept})

    assert response.status_code == status


async def test_requests_are_counted_by_route_template_and_never_by_address(client: httpx.AsyncClient) -> None:
    await client.post("/api/v1/things")
    await client.get("/made/up/address")

    metrics = (await client.get("/metrics")).text

    assert 'harbor_http_requests_total{method="POST",route="/api/v1/things",status="201"} 1.0' in metrics
    assert 'route="unmatched"' in metrics
    assert "made/up" not in metrics
