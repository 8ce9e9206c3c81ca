"""The commands of README.md and of the guides do what stands beside them, on a stack started as a user starts it."""

import asyncio
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from infra.local.home import CHECKOUT
from tests.support.services.local_stack import LocalStack, local_stack, receiver
from tests.support.services.webhooks import LoopbackReceiver
from tests.support.waiting import eventually

# The stack brings its own servers, so no fixture says it.
pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]
PYTHON: Final = ".venv/bin/python"
WAIT_S: Final = 240
CHECK_VECTOR: Final = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
"""The signature of the Standard Webhooks specification's own example."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with local_stack(tmp_path_factory.mktemp("guides") / "a home") as running:
        yield running


def blocks_of(page: str, directory: Path) -> list[str]:
    """Return the blocks of shell commands of a page, with this Python and with files of this test."""
    found = re.findall(r"^```sh\n(.*?)^```", (CHECKOUT / page).read_text(), re.MULTILINE | re.DOTALL)
    return [block.replace("/tmp/", f"{directory}/").replace(PYTHON, sys.executable) for block in found]  # noqa: S108


def creates_an_order(directory: Path) -> str:
    """Return the request of README.md that creates an order."""
    [found] = [block for block in blocks_of("README.md", directory) if "curl" in block]
    return found


async def run(home: Path, script: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", script),
        cwd=CHECKOUT,
        env=os.environ | {"HARBOR_HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def output(stack: LocalStack, script: str) -> tuple[str, str]:
    """Return what a script prints and what it says of trouble, once it has succeeded."""
    process = await run(stack.home, script)
    try:
        said, errors = await asyncio.wait_for(process.communicate(), WAIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, said + errors
    return said.decode(), errors.decode()


async def test_the_order_of_the_readme_is_created_and_announced_to_the_receiver(
    stack: LocalStack, tmp_path: Path
) -> None:
    async with receiver(stack.home) as process:
        assert process.stdout is not None
        assert b"registered" in await process.stdout.readline()
        said, _ = await output(stack, creates_an_order(tmp_path))
        announced = await asyncio.wait_for(process.stdout.readline(), WAIT_S)

    assert "201 Created" in said
    assert announced.startswith(b"verified order.created")


async def test_the_requests_for_partners_do_what_the_guide_says_also_the_second_time(
    stack: LocalStack, tmp_path: Path
) -> None:
    script = "\n".join(blocks_of("docs/guides/partners.md", tmp_path))
    async with receiver(stack.home) as process:
        assert process.stdout is not None
        assert b"registered" in await process.stdout.readline()
        walks = [await output(stack, script.replace("$(date +%s)", run_number)) for run_number in ("1", "2")]

    for said, errors in walks:
        refusals = re.findall(r'^\{"type":"/errors/(\w+)"', said + errors, re.MULTILINE)
        assert refusals == ["already_captured_use_refund"], said + errors
        assert '"summary":{"orders":2,"created":1,"replayed":0,"refused":1,"unknown":0}' in said
        assert said.count('"status":"settled"') >= 3
        assert '"object":"webhook_delivery","status":"queued"' in said
        assert '"status":"revoked"' in said
        assert "no id" not in errors
        assert f"\n{CHECK_VECTOR}\n" in said
        assert "}{" not in said + errors, "each response ends its line"


async def test_the_functions_of_the_guide_verify_a_real_delivery_and_refuse_a_changed_one(
    stack: LocalStack, tmp_path: Path
) -> None:
    facts = stack.facts()
    key = {"Authorization": f"Bearer {facts['api_keys']['partner_a']}"}
    async with LoopbackReceiver() as here, httpx.AsyncClient(headers=key, trust_env=False, timeout=30) as client:
        registered = await client.post(f"{facts['command_api']}/api/v1/webhook-endpoints", json={"url": here.url})
        await output(stack, creates_an_order(tmp_path))
        [received] = await here.wait_for(1, WAIT_S)
        await client.delete(f"{facts['command_api']}{registered.headers['location']}")
    (tmp_path / "body").write_bytes(received.body)
    (tmp_path / "changed").write_bytes(received.body.replace(b"EUR", b"USD"))
    [functions] = [block for block in blocks_of("docs/guides/partners.md", tmp_path) if "signature()" in block]

    def verify(body: str, *, signatures: str = "{}", age_s: int = 0) -> str:
        headers = received.headers
        words = (
            registered.json()["secret"],
            headers["webhook-id"],
            str(int(headers["webhook-timestamp"]) - age_s),
            signatures.format(headers["webhook-signature"]),
            str(tmp_path / body),
        )
        return f"verify {shlex.join(words)} || true"

    lines = [
        verify("body"),
        verify("body", signatures="v1,AAAA v1a,BBBB {}"),
        verify("changed"),
        verify("body", age_s=1),
        verify("body", age_s=600),
        verify("body", signatures=""),
    ]
    said, errors = await output(stack, "\n".join([functions, *lines]))

    wrong = "not signed with this secret"
    assert said.splitlines()[-len(lines) :] == [
        *("verified", "verified", wrong, wrong),
        *("too old, or from the future", wrong),
    ]
    assert errors == ""


async def test_the_consumer_of_the_guide_takes_the_events_of_the_topic(stack: LocalStack, tmp_path: Path) -> None:
    [consume] = blocks_of("docs/guides/consumers.md", tmp_path)
    process = await run(stack.home, f"exec {consume}")
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), WAIT_S)
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), WAIT_S)

    assert line


async def test_the_commands_for_auditors_replay_and_verify_the_log(stack: LocalStack, tmp_path: Path) -> None:
    script = "set -e\n" + "\n".join(blocks_of("docs/guides/auditors.md", tmp_path))
    await output(stack, creates_an_order(tmp_path))

    async def with_an_order() -> str | None:
        said, _ = await output(stack, script)
        return said if '"object":"order"' in said else None

    said = await eventually(with_an_order, timeout_s=WAIT_S)

    assert said is not None
    assert "order.created" in said
    assert "0 differences" in said
    assert "partner_a" in said


async def test_the_commands_for_operators_show_keys_dead_letters_and_health(stack: LocalStack, tmp_path: Path) -> None:
    said, _ = await output(stack, "set -e\n" + "\n".join(blocks_of("docs/guides/operators.md", tmp_path)))

    assert "hbr_test_" in said
    assert "nothing is parked" in said
    assert "0 differences" in said
    assert '"status":"ready"' in said
