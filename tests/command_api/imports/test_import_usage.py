"""What the import command says to a call that cannot be meant, or to a service that nobody can reach."""

from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner

from command_api.imports.command import import_orders
from infra.api_keys import generate
from tests.support.system import free_ports


@dataclass(frozen=True, slots=True)
class Ended:
    status: int
    said: str


def run(directory: Path, *arguments: str) -> Ended:
    """Import a file of one order, with a key of the right form."""
    orders = directory / "orders.ndjson"
    orders.write_text("{}\n")
    environment = {"HARBOR_API_KEY": generate(livemode=False).text}
    ended = CliRunner().invoke(import_orders, [str(orders), *arguments], env=environment)
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
