"""What the import command says to a call that cannot be meant, or to a service that nobody can reach."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import orjson
import pytest
from click.testing import CliRunner

from command_api.imports.command import import_orders
from command_api.imports.lines import BadLine
from command_api.imports.refusals import RefusedFile
from infra.security.api_keys import generate
from tests.support.services.command_process import CHECKOUT, clean_environment
from tests.support.services.system import free_ports


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    said: str


def run(directory: Path, *arguments: str, lines: str = "{}\n") -> Ended:
    """Import a file of one order, with a key of the right form."""
    orders = directory / "orders.ndjson"
    orders.write_text(lines)
    return run_with(str(orders), *arguments)


def run_with(*arguments: str) -> Ended:
    """Run the command with a key of the right form."""
    environment = {"HARBOR_API_KEY": generate(livemode=False).text}
    ended = CliRunner().invoke(import_orders, arguments, env=environment)
    return Ended(ended.exit_code, ended.output)


@pytest.mark.parametrize(
    "url",
    ["", "orders.example.com", "ftp://orders.example.com", "http://", "http://:8000", "http://[::1", "http://[x]:1",
     "http://localhost:port", "http://localhost:99999", "http://localhost:0", "http://localhost?a", "http://localhost#a"],
)  # fmt: skip
def test_an_address_that_is_none_is_wrong_usage(tmp_path: Path, url: str) -> None:
    ended = run(tmp_path, "--url", url)

    assert ended.status == 2
    assert "--url is http://HOST or https://HOST" in ended.said


def test_a_service_that_is_not_there_is_told_at_once_and_in_plain_words(tmp_path: Path) -> None:
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"

    ended = run(tmp_path, "--url", url, "--give-up", "0.3")

    assert ended.status == 2
    assert f"cannot reach {url} (Connection refused); trying for 0.3 s (is it up? make up DETACH=1)\n" in ended.said
    assert ended.said.count("is it up?") == 1
    assert f"Error: no progress for 0.3 s: cannot reach {url} (Connection refused). Run the same" in ended.said
    assert "ssl:" not in ended.said
    assert ".." not in ended.said


class NotFound(BaseHTTPRequestHandler):
    """Answers 404 to every request, and keeps the paths."""

    asked: list[str]

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.rfile.read(int(self.headers["content-length"]))
        self.send_error(404)

    def log_message(self, *_told: object) -> None:
        pass


@pytest.mark.parametrize(
    ("path", "asked"), [("", ""), ("/", ""), ("/api/v1", ""), ("/api/v1/", ""), ("/shop", "/shop")]
)
def test_an_address_may_end_as_that_of_the_api_and_404_is_not_helped_by_repeating(
    tmp_path: Path, path: str, asked: str
) -> None:
    class Handler(NotFound):
        asked: list[str] = []  # noqa: RUF012  # of this test alone

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        ended = run(tmp_path, "--url", f"http://127.0.0.1:{server.server_port}{path}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert Handler.asked == [f"{asked}/api/v1/orders/batch"]
    assert ended.status == 2
    assert "404" in ended.said
    assert "Is --url the address of the command service?" in ended.said
    assert "again" not in ended.said


NO_ORDER = "no JSON\n"
"""A line that is refused without a service."""
NOWHERE = ("--url", "http://127.0.0.1:9", "--give-up", "0.3")
"""Where an import that sends something says that nobody is there."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """A character device that anybody may make, and where nothing can be renamed."""

    path: Path
    other_end: int


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    other_end, device = os.openpty()
    os.set_blocking(other_end, False)
    try:
        yield Terminal(Path(os.ttyname(device)), other_end)
    finally:
        os.close(device)
        os.close(other_end)


def test_refused_lines_go_to_a_device_as_it_is(tmp_path: Path, terminal: Terminal) -> None:
    link = tmp_path / "device"
    link.symlink_to(terminal.path)

    ended = run(tmp_path, "--refused", str(link), lines=NO_ORDER)

    assert ended.status == 1
    assert orjson.loads(os.read(terminal.other_end, 4096))["refused"]["code"] == "malformed_json"
    assert stat.S_ISCHR(link.stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device", "orders.ndjson"]


def test_a_link_to_an_older_file_stays_and_that_file_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "refused.ndjson").write_text("half mended")
    link = tmp_path / "refused.ndjson"
    link.symlink_to(elsewhere / "refused.ndjson")

    ended = run(tmp_path, "--refused", str(link), lines=NO_ORDER)

    assert ended.status == 1
    assert link.is_symlink()
    assert orjson.loads(link.read_bytes())["refused"]["line"] == 1
    assert (elsewhere / "refused.ndjson.1").read_text() == "half mended"


def make_directory(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_link_to_a_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


@pytest.mark.parametrize("make", [make_directory, make_pipe, make_link_to_a_pipe])
def test_what_cannot_hold_refused_lines_is_told_before_anything_is_sent(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    default = tmp_path / "orders.ndjson.refused.ndjson"
    make(default)
    before = sorted(path.name for path in tmp_path.iterdir())

    ended = run(tmp_path, *NOWHERE)

    assert ended.status == 2
    assert f"{default} is there and is no file" in ended.said
    assert "--refused" in ended.said
    assert "cannot reach" not in ended.said
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "orders.ndjson"])


@pytest.mark.parametrize("name", ["orders.ndjson", "link"])
def test_refused_lines_never_take_the_place_of_the_file_they_come_from(tmp_path: Path, name: str) -> None:
    (tmp_path / "link").symlink_to("orders.ndjson")

    ended = run(tmp_path, "--refused", str(tmp_path / name), lines=NO_ORDER)

    assert ended.status == 2
    assert "is the file that is imported" in ended.said
    assert (tmp_path / "orders.ndjson").read_text() == NO_ORDER


def test_a_directory_that_is_not_there_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    ended = run(tmp_path, *NOWHERE, "--refused", str(tmp_path / "none" / "refused.ndjson"))

    assert ended.status == 2
    assert "there is no directory" in ended.said
    assert "cannot reach" not in ended.said


def test_a_refused_line_is_on_the_file_as_soon_as_it_is_counted(tmp_path: Path) -> None:
    refused = RefusedFile(tmp_path / "refused.ndjson")

    refused.add(BadLine(1, "malformed_json", "No JSON.", b"no JSON"))

    assert refused.count == 1
    assert orjson.loads(refused.path.read_bytes())["refused"]["line"] == 1
    refused.close()


def test_a_disk_that_is_full_stops_the_import_and_says_what_to_do(tmp_path: Path) -> None:
    orders = tmp_path / "orders.ndjson"
    orders.write_text(NO_ORDER * 20)
    command = [sys.executable, "-m", "command_api", "import", str(orders)]

    ended = subprocess.run(  # noqa: S603  # our own command
        ["/bin/sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *command],  # no file of more than a kilobyte
        cwd=CHECKOUT,
        env=clean_environment() | {"HARBOR_API_KEY": generate(livemode=False).text},
        capture_output=True,
        text=True,
        check=False,
    )

    refused = orders.with_name("orders.ndjson.refused.ndjson")
    [line] = ended.stderr.splitlines()
    assert ended.returncode == 2
    assert line.startswith(f"Error: refused lines cannot be written to {refused} (File too large): make room")
    assert "Run the same command again to continue" in line
    assert orjson.loads(refused.read_bytes().splitlines()[0])["refused"]["line"] == 1


@pytest.fixture
def pipe() -> Iterator[int]:
    """Return the end of a pipe where lines can be read, as of `/dev/stdin` behind a `|`."""
    reads, writes = os.pipe()
    os.write(writes, NO_ORDER.encode())
    os.close(writes)
    try:
        yield reads
    finally:
        os.close(reads)


@pytest.mark.parametrize("path", ["/dev/fd/{pipe}", "-"])
def test_a_pipe_is_refused_because_it_cannot_be_read_again(pipe: int, path: str) -> None:
    ended = run_with(path.format(pipe=pipe), *NOWHERE)

    assert ended.status == 2
    assert "is no regular file" in ended.said
    assert "save the lines in a file and import that" in ended.said
    assert "again to continue" not in ended.said
    assert os.read(pipe, 100) == NO_ORDER.encode()
