"""The responses of /livez and /readyz, of services and workers alike: one shape, and these codes only.

`/livez` is 200 `{"status": "alive"}` as long as the event loop turns. `/readyz` is 200 `{"status": "ready",
"waiting_for": []}` when the process can do its work, else 503 `{"status": "waiting", "waiting_for": [codes]}`. The log
has the details; a code never changes its meaning.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import orjson

from infra.observability import build_info

NotReadyReason: TypeAlias = Literal[
    "starting",
    "stopping",
    "database_unreachable",
    "connections_exhausted",
    "database_settings_dangerous",
    "migrations_missing",
    "append_interrupted",
    "partitions_short",
    "read_models_missing",
    "log_corrupt",
    "broker_unreachable",
    "topic_unusable",
    "topic_rewound",
    "topic_ahead_of_store",
    "too_many_poison_orders",
    "memory_short",
    "unexpected_error",
    "projection_standing",
    "instance_id_taken",
    "secrets_key_wrong",
]
"""What a process waits for."""

ReadyCheck: TypeAlias = Callable[[], Awaitable[Sequence[NotReadyReason]]]
"""Returns within a second what the process waits for, whatever hangs; nothing: it is ready."""

MEANINGS: Final[Mapping[NotReadyReason, str]] = MappingProxyType(
    {
        "starting": "The process has not done its first piece of work yet.",
        "stopping": "The process is stopping.",
        "database_unreachable": "PostgreSQL does not serve; the process tries again by itself.",
        "connections_exhausted": "Others hold all connections of PostgreSQL; the process tries again by itself. "
        "End sessions of others, or raise max_connections.",
        "database_settings_dangerous": "The server could lose commits, or the login may do too much; see the log.",
        "migrations_missing": "The schema is behind the code: run `python -m infra.postgres.migrate`.",
        "append_interrupted": "PostgreSQL took no append; the process tries until it does (and takes that one back).",
        "partitions_short": "Partitions are missing ahead, and appends will fail when the last one is full.",
        "read_models_missing": "The tables of the read models do not exist yet; a worker creates them.",
        "log_corrupt": "A position is missing in the log. Nothing is sent until it is there; an operator is needed.",
        "broker_unreachable": "Kafka does not serve; the process tries again by itself.",
        "topic_unusable": "The topic is not as it has to be; the log says how. An operator is needed.",
        "topic_rewound": "The topic has lost records; they are being sent again.",
        "topic_ahead_of_store": "The topic holds what the store does not know: was the store restored from a copy? "
        "Nothing is sent until they agree: connect the right store, or run `python -m infra.relay refill`.",
        "too_many_poison_orders": "A projection fails with too many orders and has stopped; an operator is needed.",
        "memory_short": "The process ran out of memory and tries again.",
        "unexpected_error": "The process met an error that it has no name for, and tries again by itself. The log has "
        "the traceback: report it.",
        "projection_standing": "Events wait, and neither this worker nor another one applies them. See the log.",
        "instance_id_taken": "Another worker that runs has the same HARBOR_WORKER__INSTANCE_ID; the log names it. Give "
        "each its own.",
        "secrets_key_wrong": "HARBOR_SECURITY__WEBHOOK_SECRETS_KEY does not open the endpoints' secrets: nothing can "
        "be signed, and no attempt is made.",
    }
)
"""Each code with what it means, in the order of docs/health.md."""

_HEAD: Final = """# Health

Generated from the code (`infra/observability/health.py`) by `make docs`; do not edit.

Services and workers alike:

| path | response |
|---|---|
| `/livez` | 200 `{"status": "alive"}` while its event loop turns |
| `/readyz`, ready | 200 `{"status": "ready", "waiting_for": []}` |
| `/readyz`, not ready | 503 with `Retry-After` and `{"status": "waiting", "waiting_for": [codes]}` |
| `/health` | as `/readyz`, with the `service` (the process, as in its log) and its `version` |
| `/metrics` | Prometheus' text format |

HEAD is served like GET. Probes need no API key and, by HTTP/1.0, no Host; a full service serves them too, and under any
name, whatever `HARBOR_PUBLIC__TRUSTED_HOSTS` says.

A standby is ready: it only waits for the lease. The log has the details of a code.

| code in `waiting_for` | meaning |
|---|---|"""


class Health(NamedTuple):
    """A response, whatever serves it."""

    status: int
    headers: dict[str, str]
    body: bytes


def liveness() -> Health:
    """Return the response of /livez."""
    return _health(200, {"status": "alive"})


def readiness(waiting: Sequence[NotReadyReason]) -> Health:
    """Return the response of /readyz of a process that waits for this; for nothing: it is ready."""
    if not waiting:
        return _health(200, {"status": "ready", "waiting_for": []})
    return _health(503, {"status": "waiting", "waiting_for": list(waiting)}, {"retry-after": "1"})


def state_of_health(waiting: Sequence[NotReadyReason]) -> Health:
    """Return the response of /health: that of /readyz, and which process of which version it is."""
    ready = readiness(waiting)
    about = {"service": build_info.process_name(), "version": build_info.VERSION}
    return ready._replace(body=orjson.dumps(about | orjson.loads(ready.body)))


def markdown() -> str:
    """Return the page docs/health.md."""
    return "\n".join([_HEAD, *(f"| `{code}` | {meaning} |" for code, meaning in MEANINGS.items()), ""])


def _health(status: int, document: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Health:
    return Health(status, {"content-type": "application/json", **(headers or {})}, orjson.dumps(document))
