"""The quickstart of examples/harbor_client runs, and its README shows what runs."""

import asyncio
import os
import re
import sys
from pathlib import Path

from infra.security.api_keys import generate
from tests.demo.stack import Stack
from tests.support.services.harbor_clients import CLIENT
from tests.support.services.ports import free_port
from tests.support.services.system import clean_environment


def test_the_readme_shows_the_quickstart_as_it_is() -> None:
    [code] = re.findall(r"```python\n(.*?)```", (CLIENT / "README.md").read_text(), re.DOTALL)

    assert (CLIENT / "quickstart.py").read_text().partition("\n\n")[2] == code


async def run(**variables: str) -> tuple[int | None, list[str], str]:
    """Return how the quickstart ends, the lines it prints, and its errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CLIENT / "quickstart.py")),
        env=clean_environment() | {"PYTHONPATH": str(CLIENT)} | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode().splitlines(), errors.decode()


async def test_missing_variables_are_named_in_one_line() -> None:
    assert await run(HARBOR_API_KEY="k") == (
        1,
        [],
        "set HARBOR_COMMAND_URL, HARBOR_QUERY_URL: README.md next to this file says how\n",
    )


async def test_without_a_stack_it_says_how_to_start_one() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"

    assert await run(HARBOR_API_KEY="k", HARBOR_COMMAND_URL=nowhere, HARBOR_QUERY_URL=nowhere) == (
        1,
        [],
        f"cannot reach {nowhere} (Connection refused): does the stack run? make up DETACH=1\n",
    )


async def test_a_key_that_is_not_valid_and_an_address_that_is_none_are_said_in_one_line(stack: Stack) -> None:
    hint = "README.md next to this file says where the key and the addresses come from\n"
    unknown = generate(livemode=False).text
    addresses = {"HARBOR_COMMAND_URL": stack.command_api, "HARBOR_QUERY_URL": stack.query_api}

    of_key = await run(HARBOR_API_KEY=unknown, **addresses)
    of_address = await run(HARBOR_API_KEY=unknown, **(addresses | {"HARBOR_QUERY_URL": "localhost"}))

    assert [(status, printed, errors.count("\n")) for status, printed, errors in (of_key, of_address)] == [
        (1, [], 1)
    ] * 2
    assert of_key[2].startswith("401 ")
    assert of_key[2].endswith(hint)
    assert unknown not in of_key[2] + of_address[2]
    assert of_address[2].startswith("command_url and query_url are addresses")


async def test_the_quickstart_prints_what_it_should(stack: Stack) -> None:
    status, printed, errors = await run(
        HARBOR_API_KEY=stack.api_key, HARBOR_COMMAND_URL=stack.command_api, HARBOR_QUERY_URL=stack.query_api
    )

    assert (status, errors) == (0, "")
    assert printed == [
        "invalid_transition authorized -> captured canceled",
        "authorized 39.98 EUR",
        "['7.50 EUR', '15.00 EUR', '22.50 EUR']",
        "4 orders listed",
    ]


async def test_the_import_of_the_readme_creates_its_two_orders(stack: Stack, tmp_path: Path) -> None:
    [block] = re.findall(r"```sh\n(cat .*?)```", (CLIENT / "README.md").read_text(), re.DOTALL)
    own_files = block.replace("/tmp/orders", f"{tmp_path}/orders")  # noqa: S108
    script = own_files.replace("/tmp/harbor-client/bin/harbor-orders", f"{sys.executable} -m harbor_orders_client")  # noqa: S108
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", script),
        cwd=CLIENT,
        env=os.environ | {"HARBOR_API_KEY": stack.api_key, "HARBOR_COMMAND_URL": stack.command_api},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()

    assert process.returncode == 0
    assert b": 2 created, 0 were there already, 0 refused\n" in output
