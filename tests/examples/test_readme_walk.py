"""The requests of README.md, "For partners", run as they stand there, and again after that."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Final

from infra.local.home import CHECKOUT
from tests.support.services.example_receiver import receiver

PYTHON: Final = ".venv/bin/python"


def requests_of_partners(directory: Path) -> str:
    """Return the shell blocks from the addresses to the API keys, with this Python and files of this test."""
    text = (CHECKOUT / "README.md").read_text()
    part = text[text.index("## For partners") : text.index("**Python.**")]
    blocks = re.findall(r"^```sh\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
    own_files = "\n".join(blocks).replace("/tmp/", f"{directory}/")  # noqa: S108  # taken out
    return own_files.replace(PYTHON, sys.executable)


async def walk(home: Path, script: str) -> tuple[str, str]:
    process = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", script),
        cwd=CHECKOUT,
        env=os.environ | {"HARBOR_HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await process.communicate()
    return said.decode(), errors.decode()


async def test_every_request_of_the_readme_does_what_it_says_there_also_the_second_time(home: Path) -> None:
    script = requests_of_partners(home)
    async with receiver(home) as process:
        assert process.stdout is not None
        assert b"registered" in await process.stdout.readline()
        walks = [await walk(home, script), await walk(home, script)]

    for said, errors in walks:
        refusals = re.findall(r'^\{"type":"/errors/(\w+)"', said + errors, re.MULTILINE)
        assert refusals == ["already_captured_use_refund"], said + errors
        assert '"summary":{"orders":2,"created":1,"replayed":0,"refused":1,"unknown":0}' in said
        assert said.count('"status":"settled"') >= 3
        assert '"object":"webhook_delivery","status":"queued"' in said
        assert '"status":"revoked"' in said
        assert "no id" not in errors
        assert "}{" not in said + errors, "each answer ends its line"
    assert "2 created, 0 were there" in walks[0][0]
    assert "0 created, 2 were there" in walks[1][0]
