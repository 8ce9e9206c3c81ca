"""examples/webhook_receiver.py: one line when it cannot start, and no endpoint left behind however it is ended."""

import signal
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.demo.stack import Stack
from tests.support.example_receiver import receiver


async def endpoints(stack: Stack) -> list[dict[str, Any]]:
    """Give the endpoints that the partner has."""
    async with httpx.AsyncClient(
        trust_env=False, timeout=30, headers={"Authorization": f"Bearer {stack.api_key}"}
    ) as client:
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
