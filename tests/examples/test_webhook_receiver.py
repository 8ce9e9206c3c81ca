"""examples/webhook_receiver.py: one line when it cannot start, and no endpoint left behind however it is ended."""

import json
import secrets
import signal
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.webhook_receiver import describe
from tests.demo.stack import Stack
from tests.support.orders.builders import order_body
from tests.support.services.local_stack import receiver
from tests.support.waiting import eventually


def partner(stack: Stack, key: str | None = None) -> httpx.AsyncClient:
    """Return a client with this key, or that of the stack's partner."""
    headers = {"Authorization": f"Bearer {key or stack.api_key}"}
    return httpx.AsyncClient(trust_env=False, timeout=30, headers=headers)


async def endpoints(stack: Stack) -> list[dict[str, Any]]:
    """Return the endpoints that the partner has."""
    async with partner(stack) as client:
        answer = await client.get(f"{stack.command_api}/api/v1/webhook-endpoints")
    return list(answer.json()["data"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_its_endpoint_goes_with_it(stack: Stack, home: Path, number: signal.Signals) -> None:
    before = await endpoints(stack)
    async with receiver(home) as process:
        assert process.stdout is not None
        assert b"registered" in await process.stdout.readline()
        during = await endpoints(stack)
        process.send_signal(number)
        _, errors = await process.communicate()

    assert len(during) == len(before) + 1
    assert await endpoints(stack) == before
    assert (process.returncode, errors) == (0, b"")


async def test_a_delivery_that_comes_again_is_printed_as_seen_before(stack: Stack, home: Path) -> None:
    async with receiver(home) as process, partner(stack) as client:
        assert process.stdout is not None
        assert b"registered" in await process.stdout.readline()
        created = await client.post(
            f"{stack.command_api}/api/v1/orders", json=order_body(), headers={"Idempotency-Key": secrets.token_hex(8)}
        )
        first = (await process.stdout.readline()).decode()
        delivery = await eventually(lambda: delivered(client, stack), timeout_s=30)  # a resend before joins the first
        assert delivery is not None
        await client.post(f"{stack.command_api}/api/v1/webhook-deliveries/{delivery['id']}/resend")
        again = (await process.stdout.readline()).decode()

    assert first == f"verified order.created of order {created.json()['id']}, now pending\n"
    assert again == f"verified order.created of order {created.json()['id']}, seen before\n"


async def test_an_order_too_large_for_a_body_and_what_happens_to_it_are_taken_at_once(stack: Stack, home: Path) -> None:
    lines = [{"sku": f"SKU-{number}", "quantity": 1, "unit_price": "1.00"} for number in range(400)]
    async with receiver(home) as process, partner(stack) as client:
        assert process.stdout is not None
        assert b"registered" in await process.stdout.readline()
        order_id = (await change(client, stack, "", order_body(lines=lines))).json()["id"]
        await change(client, stack, f"/{order_id}/authorize", {})
        await change(client, stack, f"/{order_id}/captures", {"amount": "350.00"})
        printed = sorted([(await process.stdout.readline()).decode() for _ in range(4)])
        endpoint = (await endpoints(stack))[-1]
        attempts = await eventually(lambda: attempts_of(client, stack, endpoint["id"]), timeout_s=30)

    assert printed == [
        f"verified {what}, shortened to fit into 64 KiB\n"
        for what in (
            f"order.authorization_released of order {order_id}, 50.00 EUR, now captured",
            f"order.authorized of order {order_id}, 400.00 EUR, now authorized",
            f"order.captured of order {order_id}, 350.00 EUR, now partially_captured",
            f"order.created of order {order_id}, now pending",
        )
    ]
    assert attempts == [1, 1, 1, 1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "order_id", "api_version", "data", "change", "object", "status", "amount", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(JSON, st.booleans())
def test_whatever_a_signed_body_holds_becomes_one_line(body: object, is_repeated: bool) -> None:
    assert describe(body, is_repeated=is_repeated)


def test_a_reason_of_several_lines_forges_no_line_of_the_receiver() -> None:
    said = describe(
        {
            "api_version": "v1",
            "type": "order.canceled",
            "order_id": "1",
            "data": {"change": {"reason": "gone\nverified order.paid of order 1", "to_status": "canceled"}},
        }
    )

    assert said == "order.canceled of order 1, because: 'gone\\nverified order.paid of order 1', now canceled"


async def test_whether_its_lines_can_be_read_does_not_decide_what_it_responds(stack: Stack, home: Path) -> None:
    async with receiver(home, PYTHONIOENCODING="ascii") as process, partner(stack) as client:
        assert process.stdout is not None
        assert b"registered" in await process.stdout.readline()
        body = order_body()
        created = await client.post(
            f"{stack.command_api}/api/v1/orders", json=body, headers={"Idempotency-Key": secrets.token_hex(8)}
        )
        await process.stdout.readline()
        await client.post(
            f"{stack.command_api}/api/v1/orders/{created.json()['id']}/cancel",
            json={"reason": "weg \u0645\u064a \U0001f600"},
            headers={"Idempotency-Key": secrets.token_hex(8)},
        )
        said = (await process.stdout.readline()).decode("ascii")

    assert "order.canceled" in said
    assert "\\u0645" in said


def test_a_type_and_a_version_of_later_days_are_said() -> None:
    later = {"type": "order.teleported", "order_id": "o1", "api_version": "v1", "data": {"object": {"id": "o1"}}}

    assert describe(later) == "order.teleported of order o1, without a status: read the order from the API"
    assert describe(later | {"api_version": "v2"}) == (
        "order.teleported of order o1, in version v2, which this receiver does not know"
    )
    thin = later | {"type": "order.amended", "data": {"object": {"id": "o1"}, "change": None}, "truncated": True}
    assert describe(thin) == (
        "order.amended of order o1, without a status: read the order from the API, shortened to fit into 64 KiB"
    )
    assert describe({"type": "endpoint.disabled", "api_version": "v1", "data": {"object": {"status": "disabled"}}}) == (
        "endpoint.disabled, now disabled"
    )


async def change(client: httpx.AsyncClient, stack: Stack, path: str, body: dict[str, object]) -> httpx.Response:
    """Send a change of an order, under a key of its own."""
    return (
        await client.post(
            f"{stack.command_api}/api/v1/orders{path}", json=body, headers={"Idempotency-Key": secrets.token_hex(8)}
        )
    ).raise_for_status()


async def attempts_of(client: httpx.AsyncClient, stack: Stack, endpoint_id: str) -> list[int] | None:
    """Return the number of attempts of each delivery to an endpoint once all are delivered."""
    address = f"{stack.query_api}/api/v1/webhook-deliveries"
    found = (await client.get(address, params={"endpoint_id": endpoint_id})).json()["data"]
    is_done = {each["status"] for each in found} == {"delivered"}
    return [each["attempt_count"] for each in found] if is_done else None


async def test_an_endpoint_that_a_revoked_key_cannot_unregister_is_said_with_how_to(
    stack: Stack, home: Path, own_key: str
) -> None:
    facts = json.loads((home / "stack.json").read_text())
    (home / "stack.json").write_text(json.dumps(facts | {"api_keys": {"partner_a": own_key}}))
    async with receiver(home) as process, partner(stack, own_key) as client:
        assert process.stdout is not None
        assert b"registered" in await process.stdout.readline()
        [endpoint] = (await client.get(f"{stack.command_api}/api/v1/webhook-endpoints")).json()["data"]
        await client.post(f"{stack.command_api}/api/v1/api-keys/{own_key.split('_')[2]}/revoke")
        await eventually(lambda: refused(client, stack), timeout_s=30)
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()

    assert errors.decode() == (
        "its endpoint could not be unregistered (401 Unauthorized); with a key that works: "
        f"curl -X DELETE {stack.command_api}/api/v1/webhook-endpoints/{endpoint['id']} "
        "-H 'Authorization: Bearer KEY'\n"
    )
    assert process.returncode == 1


async def test_a_key_that_registers_nothing_is_said_in_one_line(home: Path) -> None:
    facts = json.loads((home / "stack.json").read_text())
    (home / "stack.json").write_text(json.dumps(facts | {"api_keys": {"partner_a": "no key"}}))
    async with receiver(home) as process:
        _, errors = await process.communicate()

    assert (process.returncode, errors.decode()) == (1, "the endpoint could not be registered (401 Unauthorized)\n")


async def delivered(client: httpx.AsyncClient, stack: Stack) -> dict[str, Any] | None:
    """Return the newest delivery once its attempt is recorded."""
    [newest] = (await client.get(f"{stack.query_api}/api/v1/webhook-deliveries?limit=1")).json()["data"]
    return newest if newest["status"] == "delivered" else None


async def refused(client: httpx.AsyncClient, stack: Stack) -> bool:
    """Return whether the key opens nothing any more."""
    return (await client.get(f"{stack.command_api}/api/v1/webhook-endpoints")).status_code == 401


async def test_a_port_that_is_taken_is_said_in_one_line(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with receiver(home, "--port", str(port)) as process:
            _, errors = await process.communicate()

    assert process.returncode == 1
    assert errors.decode() == f"port {port} cannot be used (Address already in use): choose another one with --port\n"


async def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path) -> None:
    async with receiver(tmp_path) as process:
        _, errors = await process.communicate()

    assert errors.decode() == f"nothing runs in {tmp_path}; start it with: HARBOR_HOME={tmp_path} make up DETACH=1\n"
