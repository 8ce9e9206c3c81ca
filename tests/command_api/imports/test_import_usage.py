"""What the import command says to a call that cannot be meant, before anything is sent."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from command_api.imports.command import import_orders
from infra.api_keys import generate


@pytest.mark.parametrize(
    "url",
    ["", "orders.example.com", "ftp://orders.example.com", "http://", "http://:8000", "http://[::1", "http://[x]:1",
     "http://localhost:port", "http://localhost:99999", "http://localhost:0"],
)  # fmt: skip
def test_an_address_that_is_none_is_wrong_usage(tmp_path: Path, url: str) -> None:
    orders = tmp_path / "orders.ndjson"
    orders.write_text("{}\n")

    ended = CliRunner().invoke(
        import_orders, [str(orders), "--url", url], env={"HARBOR_API_KEY": generate(livemode=False).text}
    )

    assert ended.exit_code == 2
    assert "--url is http://HOST or https://HOST" in ended.output
