"""What the import command says when it is called wrongly, or when no service can be reached."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import orjson
import pytest

from harbor_orders_client.importing.command_line import main
from harbor_orders_client.importing.lines import BadLine
from harbor_orders_client.importing.refusals import RefusedFile
from infra.security.api_keys import generate
from tests.support.services.harbor_clients import CLIENT
from tests.support.services.ports import free_port

NOT_JSON = "not JSON\n"
"""A line that is refused without a service."""
NOWHERE = ("--url", "http://127.0.0.1:9", "--give-up", "0.3")
"""An import that sends something here says that nothing can be reached."""


@dataclass(frozen=True, slots=True)
class Command:
    """The import command in this process, with a key of the right form."""

    directory: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str, lines: str = "{}\n") -> tuple[int, str]:
        """Import a file of these lines. Return the exit status and everything that was printed."""
        (self.directory / "orders.ndjson").write_text(lines)
        return self.run_with(str(self.directory / "orders.ndjson"), *arguments)

    def run_with(self, *arguments: str) -> tuple[int, str]:
        """Run it with these arguments alone."""
        try:
            status = main(["import", *arguments])
        except SystemExit as ended:
            status = int(ended.code or 0)
        return status, "".join(self.capsys.readouterr())


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("HARBOR_API_KEY", generate(livemode=False).text)
    return Command(tmp_path, capsys)


def test_help_has_an_example(command: Command) -> None:
    status, printed = command.run_with("--help")

    assert status == 0
    assert "Example: HARBOR_API_KEY=hbr_test_... harbor-orders import orders.ndjson --url" in printed


ADDRESSES = (
    "", "orders.example.com", "ftp://orders.example.com", "http://", "http://:8000", "http://[::1", "http://[x]:1",
    "http://localhost:port", "http://localhost:99999", "http://localhost:0", "http://localhost?a", "http://localhost#a",
    "http://u:s3cret@localhost", "http://s3cret@localhost",
)  # fmt: skip


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        *(("--url", url, "an address is http://HOST or https://HOST") for url in ADDRESSES),
        ("--batch", "501", "501 is not from 1 to 500"),
        ("--in-flight", "0", "0 is not from 1 to 16"),
        ("--give-up", "0", "0 is not from 0.1 to 86400"),
        ("--refused", "none/refused.ndjson", "there is no directory none"),
    ],
)
def test_wrong_usage_ends_with_2_before_anything_is_sent(
    command: Command, option: str, value: str, complaint: str
) -> None:
    status, printed = command.run(*NOWHERE, option, value)

    assert status == 2
    assert complaint in printed
    assert "cannot reach" not in printed
    assert "s3cret" not in printed


@pytest.mark.parametrize(
    ("key", "complaint"),
    [("", "put the API key into the environment variable HARBOR_API_KEY"), ("secret", "does not hold an API key")],
)
def test_the_key_comes_from_the_environment_and_is_never_shown(
    command: Command, monkeypatch: pytest.MonkeyPatch, key: str, complaint: str
) -> None:
    monkeypatch.setenv("HARBOR_API_KEY", key)

    status, printed = command.run()

    assert status == 2
    assert complaint in printed
    assert "secret" not in printed


def test_a_service_that_cannot_be_reached_is_reported_at_once_and_in_plain_words(command: Command) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    status, printed = command.run("--url", url, "--give-up", "0.3")

    assert status == 2
    assert (
        f"cannot reach {url} (Connection refused); trying for up to 0.3 s (is it up? make up DETACH=1 starts" in printed
    )
    assert printed.count("is it up?") == 1
    assert f"Error: gave up: cannot reach {url} (Connection refused). Run the same command again" in printed


def test_what_went_wrong_is_printed_before_the_summary(command: Command) -> None:
    (command.directory / "orders.ndjson").write_text("{}\n")

    ended = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "harbor_orders_client", "import", str(command.directory / "orders.ndjson"), *NOWHERE],
        cwd=CLIENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    *_, error, summary = ended.stdout.splitlines()
    assert error.startswith("Error: gave up")
    assert summary.startswith("0 orders in 0:0")


@pytest.mark.parametrize(
    ("imported", "refused"),
    [
        ("orders.ndjson", "orders.ndjson.refused.ndjson"),
        ("orders.ndjson.refused.ndjson", "orders.ndjson.refused-2.ndjson"),
        ("orders.ndjson.refused-2.ndjson", "orders.ndjson.refused-3.ndjson"),
        ("orders.ndjson.refused-10.ndjson", "orders.ndjson.refused-11.ndjson"),
    ],
)
def test_the_refused_lines_of_a_file_of_refused_lines_go_to_the_next_number(
    command: Command, imported: str, refused: str
) -> None:
    (command.directory / imported).write_text(NOT_JSON)

    status, printed = command.run_with(str(command.directory / imported))

    assert status == 1
    assert f"refused lines: {command.directory / refused}\n" in printed
    assert sorted(path.name for path in command.directory.iterdir()) == sorted([imported, refused])


@pytest.fixture
def not_found() -> Iterator[tuple[str, list[str]]]:
    """Return the address of a server that responds with 404 to everything, and the paths that it was asked for."""
    asked: list[str] = []

    class NotFound(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_error(404)

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), NotFound) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "asked"), [("", ""), ("/", ""), ("/api/v1", ""), ("/api/v1/", ""), ("/shop", "/shop")]
)
def test_an_address_may_end_in_that_of_the_api_and_404_is_not_repeated(
    command: Command, not_found: tuple[str, list[str]], path: str, asked: str
) -> None:
    url, paths = not_found

    status, printed = command.run("--url", url + path)

    assert paths == [f"{asked}/api/v1/orders/batch"]
    assert status == 2
    assert "404" in printed
    assert "Is --url the address of the command service?" in printed
    assert "again" not in printed


@pytest.fixture
def terminal() -> Iterator[tuple[Path, int]]:
    """Return a character device that anybody may make and nobody can rename, and its other end."""
    other_end, device = os.openpty()
    os.set_blocking(other_end, False)
    yield Path(os.ttyname(device)), other_end
    os.close(device)
    os.close(other_end)


def test_refused_lines_go_to_a_device_as_it_is(command: Command, terminal: tuple[Path, int]) -> None:
    device, other_end = terminal
    link = command.directory / "device"
    link.symlink_to(device)

    status, _ = command.run("--refused", str(link), lines=NOT_JSON)

    assert status == 1
    assert orjson.loads(os.read(other_end, 4096))["refused"]["code"] == "malformed_json"
    assert stat.S_ISCHR(link.stat().st_mode)
    assert sorted(path.name for path in command.directory.iterdir()) == ["device", "orders.ndjson"]


def test_an_older_file_of_refused_lines_is_kept_also_behind_a_link(command: Command) -> None:
    older = command.directory / "elsewhere" / "refused.ndjson"
    older.parent.mkdir()
    older.write_text("half corrected")
    link = command.directory / "refused.ndjson"
    link.symlink_to(older)

    status, _ = command.run("--refused", str(link), lines=NOT_JSON)

    assert status == 1
    assert link.is_symlink()
    assert orjson.loads(link.read_bytes())["refused"]["line"] == 1
    assert older.with_name("refused.ndjson.1").read_text() == "half corrected"


@pytest.mark.parametrize("kind", ["directory", "pipe", "link to a pipe"])
def test_what_cannot_hold_refused_lines_stops_it_before_anything_is_sent(command: Command, kind: str) -> None:
    default = command.directory / "orders.ndjson.refused.ndjson"
    if kind == "directory":
        default.mkdir()
    else:
        os.mkfifo(default if kind == "pipe" else default.with_name("pipe"))
    if kind == "link to a pipe":
        default.symlink_to("pipe")
    before = sorted(path.name for path in command.directory.iterdir())

    status, printed = command.run(*NOWHERE)

    assert status == 2
    assert f"{default} exists and is not a file: choose a file for the refused lines with --refused" in printed
    assert "cannot reach" not in printed
    assert sorted(path.name for path in command.directory.iterdir()) == sorted([*before, "orders.ndjson"])


@pytest.mark.parametrize("name", ["orders.ndjson", "link"])
def test_refused_lines_never_replace_the_file_they_come_from(command: Command, name: str) -> None:
    (command.directory / "link").symlink_to("orders.ndjson")

    status, printed = command.run("--refused", str(command.directory / name), lines=NOT_JSON)

    assert status == 2
    assert "is the file that is imported" in printed
    assert (command.directory / "orders.ndjson").read_text() == NOT_JSON


def test_a_refused_line_is_in_the_file_as_soon_as_it_is_counted(tmp_path: Path) -> None:
    refused = RefusedFile(tmp_path / "refused.ndjson")

    refused.add(BadLine(1, "malformed_json", "No JSON.", b"not JSON"))

    assert refused.count == 1
    assert orjson.loads(refused.path.read_bytes())["refused"]["line"] == 1
    refused.close()


def test_one_order_is_not_called_orders(command: Command) -> None:
    _, printed = command.run(lines=NOT_JSON)

    assert printed.startswith("1 order in 0:0")


def test_a_full_disk_stops_the_import_and_says_what_to_do(tmp_path: Path) -> None:
    orders = tmp_path / "orders.ndjson"
    orders.write_text(NOT_JSON * 20)
    command = [sys.executable, "-m", "harbor_orders_client", "import", str(orders)]

    ended = subprocess.run(  # noqa: S603  # our own command
        ["/bin/sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *command],  # no file of more than a kilobyte
        cwd=CLIENT,
        env=os.environ | {"HARBOR_API_KEY": generate(livemode=False).text, "PYTHONDONTWRITEBYTECODE": "1"},
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
    os.write(writes, NOT_JSON.encode())
    os.close(writes)
    yield reads
    os.close(reads)


@pytest.mark.parametrize("path", ["/dev/fd/{pipe}", "-"])
def test_a_pipe_is_refused_because_it_cannot_be_read_again(command: Command, pipe: int, path: str) -> None:
    status, printed = command.run_with(path.format(pipe=pipe), *NOWHERE)

    assert status == 2
    assert "is not a regular file" in printed
    assert "save the lines in a file and import that" in printed
    assert "again to continue" not in printed
    assert os.read(pipe, 100) == NOT_JSON.encode()
