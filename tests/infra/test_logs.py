"""Logs: what happens to a process whose standard output cannot take a line."""

import os
import subprocess
import sys

import orjson

LINES = """
from infra import logs
logs.configure("test")
log = logs.get_logger()
for number in range(2000):
    log.info("line.written", number=number)
import os
os._exit(7)  # the interpreter's own last flush is not what is tested
"""


def run(stdout: int) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", LINES]
    return subprocess.run(command, stdout=stdout, timeout=30, check=False)  # noqa: S603  # our own code


def test_a_line_is_one_json_object_with_its_process_and_time() -> None:
    done = run(subprocess.PIPE)

    lines = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert [line["number"] for line in lines] == list(range(2000))
    assert {(line["event"], line["process"], line["level"]) for line in lines} == {("line.written", "test", "info")}
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_work_goes_on_when_nobody_reads_the_log_any_more() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert run(writer).returncode == 7
    finally:
        os.close(writer)


def test_work_goes_on_when_the_disk_of_the_log_is_full() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        assert run(full).returncode == 7
    finally:
        os.close(full)
