"""Tell the query service how far each partition is now, in the transaction that moves its checkpoint."""

from collections.abc import Iterable
from typing import Final

from infra.postgres.checkpoints import Checkpoint
from infra.postgres.connection import Connection

CHANNEL: Final = "harbor_projected"
_NOTIFY: Final = "SELECT pg_notify($1, $2)"
_MAX_PAYLOAD_CHARS: Final = 7_900


async def notify(connection: Connection, moved: Iterable[Checkpoint]) -> None:
    """Announce these checkpoints; listeners hear of them when the transaction commits."""
    for payload in notifications(moved):
        await connection.execute(_NOTIFY, CHANNEL, payload)


def notifications(moved: Iterable[Checkpoint]) -> list[str]:
    """Return the payloads that say how far each partition is now: as few as fit PostgreSQL's limit; pure."""
    payloads: list[str] = []
    for checkpoint in moved:
        key = checkpoint.key
        entry = f"{key.projection} {key.version} {key.partition} {checkpoint.last_position} {checkpoint.applied_count}"
        if payloads and len(payloads[-1]) + 1 + len(entry) <= _MAX_PAYLOAD_CHARS:
            payloads[-1] += f";{entry}"
        else:
            payloads.append(entry)
    return payloads
