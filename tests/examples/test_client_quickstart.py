"""The quickstart of examples/harbor_client runs, and its README shows what runs."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Final

from tests.demo.stack import Stack

CLIENT: Final = Path(__file__).resolve().parents[2] / "examples" / "harbor_client"


def test_the_readme_shows_the_quickstart_as_it_is() -> None:
    [code] = re.findall(r"```python\n(.*?)```", (CLIENT / "README.md").read_text(), re.DOTALL)

    assert (CLIENT / "quickstart.py").read_text().partition("\n\n")[2] == code


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
