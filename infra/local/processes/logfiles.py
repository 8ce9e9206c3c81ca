"""Bound the log files: a file that grew over the limit becomes `<name>.1` and starts again.

The processes keep their files open, so the content is copied and the file cut; they append, so they go on at its new
end. Lines written in the instant between both are lost, which a local stack can bear.
"""

import shutil
from pathlib import Path

LIMIT_BYTES = 20_000_000


def bound(folder: Path, limit_bytes: int = LIMIT_BYTES) -> list[str]:
    """Cut every log over the limit; give the names of the files cut."""
    cut = []
    for path in sorted(folder.glob("*.log")):
        if path.stat().st_size > limit_bytes:
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            with path.open("r+b") as file:
                file.truncate(0)
            cut.append(path.name)
    return cut
