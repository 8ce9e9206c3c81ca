"""The quickstart of examples/harbor_client runs, and its README shows what runs."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Final

from tests.demo.stack import Stack
from tests.support.services.ports import free_port

CLIENT: Final = Path(__file__).resolve().parents[2] / "examples" / "harbor_client"


def test_the_readme_shows_the_quickstart_as_it_is() -> None:
    [code] = re.findall(r"```python\n(.*?)```", (CLIENT / "README.md").read_text(), re.DOTALL)

    assert (CLIENT / "quickstart.py").read_text().partition("\n\n")[2] == code


async def ran(**variables: str) -> tuple[int | None, str]:
    """Return how it ends, and what it says of trouble."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HARBOR_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CLIENT / "quickstart.py")),
        env=inherited | {"PYTHONPATH": str(CLIENT)} | variables,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    return process.returncode, errors.decode()


async def test_what_it_needs_and_lacks_is_said_in_one_line() -> None:
    assert await ran(HARBOR_API_KEY="k") == (
        1,
        "set HARBOR_COMMAND_URL, HARBOR_QUERY_URL: README.md beside this file says how\n",
    )


async def test_without_a_stack_it_says_how_to_start_one() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    status, errors = await ran(HARBOR_API_KEY="k", HARBOR_COMMAND_URL=nowhere, HARBOR_QUERY_URL=nowhere)

    assert (status, errors.count("\n")) == (1, 1)
    assert errors.startswith("ConnectError: ")
    assert errors.endswith(": does the stack run? make up DETACH=1\n")


async def test_the_quickstart_runs_and_says_what_it_should(stack: Stack) -> None:
    variables = {
        "HARBOR_API_KEY": stack.api_key,
        "HARBOR_COMMAND_URL": stack.command_api,
        "HARBOR_QUERY_URL": stack.query_api,
        "PYTHONPATH": str(CLIENT),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CLIENT / "quickstart.py"), env=os.environ | variables, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()

    assert said.decode().splitlines() == [
        "invalid_transition authorized -> captured canceled",
        "authorized 39.98 EUR",
        "['7.50 EUR', '15.00 EUR', '22.50 EUR']",
        "4 orders listed",
    ]
