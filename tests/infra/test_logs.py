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


WIDE_LINES = """
from infra import logs
logs.configure("test", "{level}")
logs.wide_line()("request.handled", dict(status=201))
logs.get_logger().info("request.handled", status=201)
logs.get_logger().error("stays")
"""


def run(stdout: int, program: str = LINES) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, stdout=stdout, timeout=30, check=False)  # noqa: S603  # our own code


def test_a_line_is_one_json_object_with_its_process_and_time() -> None:
    done = run(subprocess.PIPE)

    lines = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert [line["number"] for line in lines] == list(range(2000))
    assert {(line["event"], line["process"], line["level"]) for line in lines} == {("line.written", "test", "info")}
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_the_wide_line_of_a_unit_of_work_looks_like_every_other() -> None:
    done = run(subprocess.PIPE, WIDE_LINES.format(level="info"))

    wide, usual, _ = [orjson.loads(line) | {"timestamp": ""} for line in done.stdout.splitlines()]
    assert wide == usual


def test_the_level_leaves_wide_lines_out_too() -> None:
    done = run(subprocess.PIPE, WIDE_LINES.format(level="warning"))

    assert [orjson.loads(line)["event"] for line in done.stdout.splitlines()] == ["stays"]


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
