"""Which stack the demo finds, and whose key it takes there."""

import json
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from threading import Thread

import pytest

from tests.demo.stack import running


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Return the address of a server that answers /livez."""
    (tmp_path / "livez").touch()
    with HTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path))) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_demo_is_not_the_partner_whose_webhooks_somebody_watches(tmp_path: Path, address: str) -> None:
    keys = {"partner_a": "watched", "partner_b": "the demo's"}
    facts = {"command_api": address, "query_api": address, "postgres": "p", "kafka": None, "api_keys": keys}
    (tmp_path / "stack.json").write_text(json.dumps(facts))

    found = running(tmp_path)

    assert found is not None
    assert found.api_key == "the demo's"
