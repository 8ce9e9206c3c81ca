"""What `up` tells: `stack.json` for scripts, and a table with a first request for people."""

import platform
import secrets
from collections.abc import Mapping

from infra.local.addresses import Addresses, role_url, shown
from infra.local.home import Home, Json
from infra.local.processes.supervisor import Kept

READER = "harbor_query_login"
_FIRST_ORDER = (
    '{"customer_email":"ada@example.com","currency":"EUR",'
    '"lines":[{"sku":"ROPE-12","quantity":2,"unit_price":"19.99"}]}'
)


def stack_document(home: Home, addresses: Addresses, kept: Mapping[str, Kept], ops: Mapping[str, str]) -> Json:
    """Return the content of `stack.json`."""
    return {
        "command_api": addresses.command_api,
        "query_api": addresses.query_api,
        "postgres": addresses.admin_url,
        "postgres_read_only": role_url(addresses.admin_url, READER, home.password(READER)),
        "redis": addresses.redis_url,
        "kafka": addresses.bootstrap_servers,
        "api_keys": dict(home.kept.api_keys),
        "data_dir": str(home.path),
        "processes": {name: {"pid": each.pid, "restarts": each.restarts} for name, each in kept.items()},
        "ops": dict(ops),
        "logs": {name: str(each.program.log) for name, each in kept.items()},
    }


def curl(command_api: str, api_key: str) -> str:
    """Return the line that creates an order; a new idempotency key makes it a new order."""
    return (
        f"curl -i {command_api}/api/v1/orders -H 'Authorization: Bearer {api_key}' "
        f"-H 'Idempotency-Key: first-order-{secrets.token_hex(3)}' -H 'Content-Type: application/json' "
        f"-d '{_FIRST_ORDER}'"
    )


def table(
    home: Home,
    addresses: Addresses,
    kept: Mapping[str, Kept],
    versions: Mapping[str, str],
    ops: Mapping[str, str],
) -> list[str]:
    """Return the lines that say what runs where.

    `versions` names what runs as `postgres`, `kafka` and `valkey`, or `external`, or why there is none.
    """
    python = f"Python {platform.python_version()}"
    rows = [
        ("command service", python, addresses.command_api, "/docs /readyz /metrics"),
        ("query service", python, addresses.query_api, "/docs /readyz /metrics"),
        *((name, python, url, "/readyz /metrics") for name, url in ops.items() if name in kept),
        ("PostgreSQL", versions["postgres"], shown(addresses.admin_url), home.kept.postgres_dir),
        (
            "Kafka",
            versions["kafka"],
            addresses.bootstrap_servers or "-",
            str(home.path / "kafka") if "kafka" in kept else "",
        ),
        (
            "Valkey (Redis)",
            versions["valkey"],
            shown(addresses.redis_url),
            "keeps nothing on disk" if "valkey" in kept else "",
        ),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        *("  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip() for row in rows),
        f"data {home.path}  logs {home.path / 'logs'}  for scripts {home.stack_file}",
    ]


def ending(addresses: Addresses, api_key: str) -> list[str]:
    """Return the last lines: a key, a first request, and how to stop."""
    return [f"test API key (partner_a): {api_key}", "create an order:", f"  {curl(addresses.command_api, api_key)}"]
