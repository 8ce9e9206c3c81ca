"""examples/webhook_receiver.py as a process."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

RECEIVER: Final = Path(__file__).resolve().parents[3] / "examples" / "webhook_receiver.py"


@asynccontextmanager
async def receiver(home: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run it for the stack of this home while the `async with` lasts."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(RECEIVER), *options),
        env=os.environ | {"HARBOR_HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
