"""What `up` reports: `stack.json` for scripts, and a table with a first request for people."""

import platform
import secrets
from collections.abc import Container, Mapping, Sequence
from typing import Literal

from infra.local.addresses import Addresses, role_url, shown
from infra.local.home import Home, Json
from infra.local.processes.supervisor import Supervised

READER = "harbor_query_login"
_FIRST_ORDER = (
    '{"customer_email":"ada@example.com","currency":"EUR",'
    '"lines":[{"sku":"ROPE-12","quantity":2,"unit_price":"19.99"}]}'
)


State = Literal["starting", "waiting", "ready", "stopping"]
"""How far the start has come. waiting: longer than usual for what a process waits for; all runs on."""


def stack_document(
    state: State, home: Home, addresses: Addresses, supervised: Mapping[str, Supervised], ops: Mapping[str, str]
) -> Json:
    """Return the content of `stack.json`."""
    return {
        "state": state,
        "command_api": addresses.command_api,
        "query_api": addresses.query_api,
        "postgres": addresses.admin_url,
        "postgres_read_only": role_url(addresses.admin_url, READER, home.password(READER)),
        "redis": addresses.redis_url,
        "kafka": addresses.bootstrap_servers,
        "api_keys": dict(home.kept.api_keys),
        "data_dir": str(home.path),
        "processes": {name: {"pid": each.pid, "restarts": each.restarts} for name, each in supervised.items()},
        "ops": dict(ops),
        "logs": {name: str(each.program.log) for name, each in supervised.items()},
    }


def table(
    home: Home,
    addresses: Addresses,
    names: Container[str],
    versions: Mapping[str, str],
    ops: Mapping[str, str],
    *,
    has_docs: bool = True,
) -> list[str]:
    """Return the lines that say what runs where.

    Args:
        home: of the stack.
        addresses: of everything.
        names: the processes of the stack.
        versions: of `postgres`, `kafka` and `valkey`; or `external`, or why there is none.
        ops: base addresses of the processes that serve no API.
        has_docs: whether the services have their API pages.
    """
    pages = "/docs /readyz /metrics" if has_docs else "/readyz /metrics"
    python = f"Python {platform.python_version()}"
    kafka_data = str(home.path / "kafka") if "kafka" in names else ""
    valkey_data = "keeps nothing on disk" if "valkey" in names else ""
    rows = [
        ("command service", python, addresses.command_api, pages),
        ("query service", python, addresses.query_api, pages),
        *((name, python, url, "/readyz /metrics") for name, url in ops.items()),
        ("PostgreSQL", versions["postgres"], shown(addresses.admin_url), home.kept.postgres_dir),
        ("Kafka", versions["kafka"], addresses.bootstrap_servers or "-", kafka_data),
        ("Valkey (Redis)", versions["valkey"], shown(addresses.redis_url), valkey_data),
    ]
    return [
        *aligned(rows),
        f"data {home.path}  logs {home.path / 'logs'}  for scripts {home.stack_file}",
    ]


def aligned(rows: Sequence[tuple[str, ...]], numbers: Container[int] = ()) -> list[str]:
    """Return rows as lines with aligned columns; `numbers` are the columns to align at the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index in numbers else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def first_request(addresses: Addresses, api_key: str) -> list[str]:
    """Return the lines with a key and a request that creates an order; its idempotency key is new each time."""
    return [
        f"test API key (partner_a): {api_key}",
        "create an order:",
        (
            f"  curl -i {addresses.command_api}/api/v1/orders -H 'Authorization: Bearer {api_key}' "
            f"-H 'Idempotency-Key: first-order-{secrets.token_hex(3)}' -H 'Content-Type: application/json' "
            f"-d '{_FIRST_ORDER}'"
        ),
    ]
