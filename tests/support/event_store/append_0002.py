"""The append as processes of the first release call it: `harbor.append` of migration 0002, which stays."""

from collections.abc import Sequence

from infra.event_store.append_batch import Connection, outcome
from infra.event_store.protocol import AppendCommand, AppendOutcome, leaf_hash

SQL = f"SELECT * FROM harbor.append({', '.join(f'${number}' for number in range(1, 23))})"


async def append_0002(connection: Connection, commands: Sequence[AppendCommand]) -> list[AppendOutcome]:
    """Append commands to log 0 like `append_batch`."""
    events = [
        (ordinal, command, version, event)
        for ordinal, command in enumerate(commands, 1)
        for version, event in enumerate(command.events, command.expected_version + 1)
    ]
    rows = await connection.fetch(
        SQL,
        0,
        [command.tenant_id for command in commands],
        [command.key for command in commands],
        [command.fingerprint for command in commands],
        [command.stream_id for command in commands],
        [command.stream_type for command in commands],
        [command.expected_version for command in commands],
        [command.status for command in commands],
        [command.response for command in commands],
        [command.claim for command in commands],
        [len(command.events) for command in commands],
        [ordinal for ordinal, _, _, _ in events],
        [event.event_id for _, _, _, event in events],
        [event.type for _, _, _, event in events],
        [event.schema_version for _, _, _, event in events],
        [event.occurred_at for _, _, _, event in events],
        [event.actor for _, _, _, event in events],
        [event.correlation_id for _, _, _, event in events],
        [event.causation_id for _, _, _, event in events],
        [event.traceparent for _, _, _, event in events],
        [leaf_hash(command.tenant_id, command.stream_id, version, event) for _, command, version, event in events],
        [event.payload for _, _, _, event in events],
    )
    return [outcome(row) for row in rows]
