"""Logs: what happens to a process whose standard output cannot take a line."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import orjson
import pytest

LINES = """
from infra.observability import logs
logs.configure("test")
log = logs.get_logger()
for number in range(2000):
    log.info("line.written", number=number)
"""
ENDS_AT_ONCE = (
    LINES
    + """
import os
os._exit(7)  # without the last words at the end of a process
"""
)


WIDE_LINES = """
from infra.observability import logs
logs.configure("test", "{level}")
logs.wide_line()("request.handled", dict(status=201))
logs.get_logger().info("request.handled", status=201)
logs.get_logger().error("stays")
"""


def run(stdout: int, program: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", program]
    # A pipe that takes all the lines: at its end a process waits for a slow reader, but not forever.
    return subprocess.run(command, stdout=stdout, timeout=60, check=False, pipesize=1024 * 1024)  # noqa: S603  # our own code


def test_a_line_is_one_json_object_with_its_process_and_time() -> None:
    done = run(subprocess.PIPE, LINES)

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


DRIVER_LINES = """
import logging
from infra.observability import logs
logs.configure("test")
try:
    raise TimeoutError
except TimeoutError:
    logging.getLogger("aiokafka.consumer").exception("Error sending HeartbeatRequest to node %s", 1)
    logging.getLogger("ours").exception("failed")
"""


def test_a_drivers_traceback_is_one_line_with_a_reason_and_no_alarm() -> None:
    done = run(subprocess.PIPE, DRIVER_LINES)

    driver, other = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert driver | {"timestamp": ""} == {
        "event": "Error sending HeartbeatRequest to node 1: no answer in time (TimeoutError)",
        "logger": "aiokafka.consumer",
        "level": "warning",
        "process": "test",
        "timestamp": "",
    }
    assert (other["level"], "Traceback" in other["exception"]) == ("error", True)


CALLBACK_LINES = """
import asyncio
from aiokafka.producer.message_accumulator import MessageAccumulator
from infra.observability import logs
logs.configure("test")

async def work():
    loop = asyncio.get_running_loop()
    loop.call_soon(MessageAccumulator._pop_batch, None, "gone")
    loop.call_soon(lambda: {}["ours"])
    loop.call_soon(lambda: MessageAccumulator._pop_batch(None, "called by us"))
    await asyncio.sleep(0)

asyncio.run(work())
"""


def test_a_drivers_callback_that_failed_is_one_line_too() -> None:
    done = run(subprocess.PIPE, CALLBACK_LINES)

    driver, *others = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert driver["event"].startswith("Exception in callback MessageAccumulator._pop_batch(")
    assert (driver["level"], driver["logger"], "exception" in driver) == ("warning", "asyncio", False)
    assert [(each["level"], "Traceback" in each["exception"]) for each in others] == [("error", True)] * 2


STALLED = """
import asyncio, os, sys, time
from infra.observability import logs
logs.configure("test")
log = logs.get_logger()

async def work():
    for number in range(8_000):
        log.info("line.written", number=number, text="x" * 100)
        if number % 100 == 0:
            await asyncio.sleep(0)
    sys.stderr.write("done\\n")
    sys.stderr.flush()
    {then}

asyncio.run(work())
"""


def test_a_reader_that_comes_back_gets_whole_lines_and_the_number_of_the_missing_ones() -> None:
    program = STALLED.format(then='await asyncio.to_thread(sys.stdin.read); log.info("last")')
    with started(program) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == b"done\n"  # nothing of the log is read until then
        lines = [orjson.loads(process.stdout.readline())]
        while lines[-1]["event"] != "log.lines_lost":
            lines.append(orjson.loads(process.stdout.readline()))
        process.stdin.close()
        lines += [orjson.loads(line) for line in process.stdout]

    numbers = [line["number"] for line in lines if line["event"] == "line.written"]
    [lost] = [line["lines"] for line in lines if line["event"] == "log.lines_lost"]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) + lost == 8_000
    assert lines[-1]["event"] == "last"


@pytest.mark.parametrize("start", ["write(8_000)", "asyncio.run(in_loop(8_000))"])
def test_a_reader_that_comes_back_is_written_to_again_without_the_event_loop_of_before(start: str) -> None:
    program = f"""
import asyncio, sys
from infra.observability import logs
logs.configure("test")

def write(count):
    for number in range(count):
        logs.get_logger().info("line.written", number=number, text="x" * 100)

async def in_loop(count):
    for part in range(100):
        write(count // 100)
        await asyncio.sleep(0)

{start}
sys.stderr.write("done\\n")
sys.stderr.flush()
for turn in sys.stdin:
    write(1)
    sys.stderr.write("again\\n")
    sys.stderr.flush()
import os
os._exit(0)  # the last words at the end of a process are not what is tested
"""
    with started(program) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == b"done\n"
        output = process.stdout.fileno()
        os.set_blocking(output, False)
        read = turns = 0
        while read <= 1024 * 1024 and turns < 2000:
            process.stdin.write(b"\n")
            process.stdin.flush()
            assert process.stderr.readline() == b"again\n"
            read, turns = read + all_of(output), turns + 1
        process.stdin.close()

    assert read > 1024 * 1024, "what waited was written, and not only what the pipe held"


def started(program: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603  # our own code
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def all_of(pipe: int) -> int:
    """Empty a pipe that does not block; return how many bytes it held."""
    held = 0
    with suppress(BlockingIOError):
        while part := os.read(pipe, 1024 * 1024):
            held += len(part)
    return held


def test_one_event_loop_after_another_gets_its_lines_written() -> None:
    program = """
import asyncio, os
from infra.observability import logs
logs.configure("test")

async def work(number):
    logs.get_logger().info("line.written", number=number)
    if number == 0:
        raise SystemExit  # ends the loop before its next pass

for number in range(3):
    try:
        asyncio.run(work(number))
    except SystemExit:
        pass
"""
    lines = run(subprocess.PIPE, program).stdout.splitlines()

    assert [orjson.loads(line)["number"] for line in lines] == [0, 1, 2]


def test_work_goes_on_when_nobody_reads_the_log_any_more_or_its_disk_is_full() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    for output in (writer, os.open("/dev/full", os.O_WRONLY)):
        try:
            assert run(output, ENDS_AT_ONCE).returncode == 7
        finally:
            os.close(output)


def test_a_process_whose_standard_output_was_closed_before_it_started_works() -> None:
    done = subprocess.run(["/bin/sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", ENDS_AT_ONCE], check=False)  # noqa: S603  # our own code

    assert done.returncode == 7


FULL_FOR_A_WHILE = """
import resource
from infra.observability import logs
logs.configure("test")
log = logs.get_logger()
no_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, no_limit[1]))
for number in range(50):
    log.info("line.written", number=number)
resource.setrlimit(resource.RLIMIT_FSIZE, no_limit)
log.info("line.written", number=50)
"""


def test_lines_lost_to_a_full_disk_are_counted_and_the_next_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("ab") as output:
        assert run(output.fileno(), FULL_FOR_A_WHILE).returncode == 0

    *whole, cut, next_one, told = file.read_bytes().splitlines()
    numbers = [orjson.loads(line)["number"] for line in whole]
    assert numbers == list(range(len(numbers)))
    assert cut.startswith(b'{"number":')
    assert orjson.loads(next_one)["number"] == 50
    assert orjson.loads(told)["lines"] == 50 - len(whole)
