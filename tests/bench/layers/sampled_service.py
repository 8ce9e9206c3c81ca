"""The command service with a sampling profiler in it: `python -m tests.bench.layers.sampled_service`.

After SIGUSR1 the kernel interrupts the process after each millisecond of CPU time it uses, and the Python stack at that
moment is counted; nothing in the service is changed or wrapped, so what is counted is the service as it is (a sampler
costs 1-3 %). When the service ends, the counts go to the file in BENCH_SAMPLES as JSON: stack -> samples.
"""

import os
import signal
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

import orjson

from command_api.__main__ import main as command_api_main

INTERVAL_S: Final = 0.001


class Sampler:
    """Counts stacks, outermost frame first."""

    def __init__(self) -> None:
        self._stacks: Counter[tuple[CodeType, ...]] = Counter()

    def start(self, _number: int, _frame: FrameType | None) -> None:
        """Begin to sample: what a signal handler does."""
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def write(self, path: Path) -> None:
        """Stop sampling and write what was counted."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        folded: Counter[str] = Counter()
        for stack, count in self._stacks.items():
            folded[";".join(_name(code) for code in stack)] += count
        path.write_bytes(orjson.dumps(folded))

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        stack: list[CodeType] = []
        while frame is not None:
            stack.append(frame.f_code)
            frame = frame.f_back
        self._stacks[tuple(reversed(stack))] += 1


def _name(code: CodeType) -> str:
    """Return `package/module.py:function`, without the place of the installation."""
    path = code.co_filename
    for root in ("/site-packages/", f"{Path(__file__).resolve().parents[3]}/", "/lib/python3"):
        _, found, inside = path.rpartition(root)
        if found:
            path = inside if root != "/lib/python3" else inside.partition("/")[2]
            break
    return f"{path}:{code.co_qualname}"


def main() -> None:
    """Serve until SIGTERM."""
    sampler = Sampler()
    signal.signal(signal.SIGUSR1, sampler.start)
    try:
        command_api_main(["serve"], standalone_mode=False)
    finally:
        sampler.write(Path(os.environ["BENCH_SAMPLES"]))


if __name__ == "__main__":
    main()
