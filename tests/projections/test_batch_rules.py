"""The pure rules of a batch: what is new, which checkpoints move, where to start, what a failure means."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import UnknownEventError
from infra.clock import new_id
from infra.postgres.checkpoints import Checkpoint, CheckpointKey
from infra.postgres.connection import Connection
from infra.settings import KafkaSettings, SettingsError, WorkerSettings
from projections.failures import TooMuchPoisonError, describe, is_poison
from projections.notifications import notifications
from projections.projection import LogRecord, ProjectionError
from projections.run import brokers_of
from projections.sources.gaps import Gap, find_gaps
from projections.sources.store import Batch, Start
from projections.transaction import moves_of, unapplied
from projections.worker import starts_of

AT = datetime(2026, 11, 23, tzinfo=UTC)


class Nothing:
    name = "nothing"
    version = 1

    async def apply(self, connection: Connection, records: Sequence[LogRecord]) -> None: ...


def record(position: int, partition: int = 0) -> LogRecord:
    return LogRecord(position, partition, "acme.test", new_id(), 1, "order.created", 1, new_id(), AT, b"{}")


def checkpoint(
    partition: int = 0, *, last_position: int = 0, next_offset: int | None = None, name: str = "nothing"
) -> Checkpoint:
    return Checkpoint(CheckpointKey(name, 1, partition), next_offset, last_position, 0, 1)


def by_key(*checkpoints: Checkpoint) -> dict[CheckpointKey, Checkpoint]:
    return {each.key: each for each in checkpoints}


@given(st.lists(st.integers(1, 30)), st.integers(0, 30))
def test_each_position_past_the_checkpoint_is_new_once(positions: list[int], last: int) -> None:
    # A relay repeats only runs of contiguous order, so a first sighting is always past all that came before.
    fresh = unapplied([record(position) for position in positions], by_key(checkpoint(last_position=last)), Nothing())

    found = [each.position for each in fresh]
    assert found == sorted(set(found))
    assert all(position > last for position in found)
    assert max(found, default=last) == max([*positions, last])


def test_partitions_are_judged_by_their_own_checkpoints_and_foreign_ones_left_alone() -> None:
    owned = by_key(checkpoint(0, last_position=5), checkpoint(1, last_position=2))
    fresh = unapplied([record(5, 0), record(6, 0), record(3, 1), record(9, 2)], owned, Nothing())

    assert [(each.position, each.partition) for each in fresh] == [(3, 1), (6, 0)]


def test_a_record_whose_predecessor_never_came_shows_a_gap() -> None:
    owned = by_key(checkpoint(0, last_position=5), checkpoint(0, last_position=3, name="slower"), checkpoint(1))

    def came(position: int, previous: int, partition: int = 0) -> LogRecord:
        return replace(record(position, partition), previous=previous)

    assert find_gaps([came(4, 3), came(5, 4), came(9, 5), came(8, 1), came(12, 9)], owned) == {}
    assert find_gaps([came(5, 4), came(9, 7), came(12, 11), came(2, 1, 1)], owned) == {0: Gap(3, 4), 1: Gap(0, 1)}
    assert find_gaps([came(4, 3), came(12, 11)], owned) == {0: Gap(4, 11)}
    assert find_gaps([came(12, 11, partition=2)], owned) == {}, "a partition of somebody else's"


def moved(batch: Batch, *checkpoints: Checkpoint) -> dict[int, tuple[int, int, int | None]]:
    owned = by_key(*checkpoints)
    fresh = {"nothing": unapplied(batch.records, owned, Nothing())}
    return {
        move.seen.key.partition: (move.last_position, move.applied, move.next_offset)
        for move in moves_of(batch, fresh, owned, [Nothing()])
    }


def test_a_partition_moves_with_its_events_and_its_offset() -> None:
    batch = Batch((record(3), record(7)), {0: 12})

    assert moved(batch, checkpoint(0, last_position=3, next_offset=9), checkpoint(1)) == {0: (7, 1, 12)}


def test_a_partition_of_repeats_moves_its_offset_alone() -> None:
    assert moved(Batch((record(3),), {0: 12}), checkpoint(0, last_position=3)) == {0: (3, 0, 12)}


def test_nothing_moves_when_nothing_came() -> None:
    assert moved(Batch((), {0: 12}, None), checkpoint(0, last_position=3, next_offset=12)) == {}


def test_an_idle_partition_follows_the_scan_in_large_steps() -> None:
    far = Batch((record(20_000, 1),), scanned_to=20_000)

    assert moved(far, checkpoint(0, last_position=5), checkpoint(1), checkpoint(2, last_position=15_000)) == {
        0: (20_000, 0, None),
        1: (20_000, 1, None),
    }


def test_reading_starts_where_the_slowest_projection_stands() -> None:
    assert starts_of(
        [
            checkpoint(0, last_position=9, next_offset=4),
            checkpoint(0, last_position=7, next_offset=3, name="other"),
            checkpoint(1, name="other"),
        ]
    ) == {0: Start(3, 7), 1: Start(None, 0)}


def test_notifications_name_every_checkpoint_within_the_limit_of_postgresql() -> None:
    checkpoints = [checkpoint(partition, last_position=10**12) for partition in range(1_000)]
    payloads = notifications(checkpoints)

    assert max(map(len, payloads)) < 8_000
    assert ";".join(payloads).split(";") == [f"nothing 1 {partition} {10**12} 0" for partition in range(1_000)]


SURROUNDINGS = (
    ConnectionResetError(), TimeoutError(), asyncpg.ConnectionDoesNotExistError(), asyncpg.SerializationError(),
    asyncpg.DeadlockDetectedError(), asyncpg.TooManyConnectionsError(), asyncpg.DiskFullError(),
    asyncpg.AdminShutdownError(), asyncpg.UndefinedTableError(), asyncpg.InsufficientPrivilegeError(),
    asyncpg.InterfaceError("the connection is closed"), MemoryError(), TooMuchPoisonError("orders", 20, "NameError"),
)  # fmt: skip
POISON = (
    UnknownEventError("order.exploded", 7), ProjectionError("no"), KeyError("data"), asyncpg.DataError("invalid input"),
    asyncpg.UntranslatableCharacterError(), asyncpg.NotNullViolationError(), asyncpg.ProgramLimitExceededError(),
)  # fmt: skip


@pytest.mark.parametrize("error", SURROUNDINGS, ids=lambda error: type(error).__name__)
def test_a_failure_of_the_environment_is_retried(error: Exception) -> None:
    assert not is_poison(error)


@pytest.mark.parametrize("error", POISON, ids=lambda error: type(error).__name__)
def test_a_failure_that_a_record_causes_is_poison(error: Exception) -> None:
    assert is_poison(error)


def test_a_failure_is_described_without_what_it_quotes() -> None:
    assert describe(asyncpg.DataError("invalid input: buyer@example.com")) == "DataError (22000)"
    assert describe(KeyError("buyer@example.com")) == "KeyError"
    assert describe(UnknownEventError("order.exploded", 7)).startswith("UnknownEventError: unknown event")


@pytest.mark.parametrize(
    ("source", "bootstrap", "brokers"),
    [("auto", None, None), ("auto", "k:1", "k:1"), ("store", "k:1", None), ("kafka", "k:1", "k:1"), ("auto", "", None)],
)
def test_the_source_follows_the_settings(source: str, bootstrap: str | None, brokers: str | None) -> None:
    assert brokers_of(WorkerSettings(source=source), KafkaSettings(bootstrap_servers=bootstrap)) == brokers


def test_kafka_without_brokers_is_refused() -> None:
    with pytest.raises(SettingsError, match="HARBOR_KAFKA__BOOTSTRAP_SERVERS"):
        brokers_of(WorkerSettings(source="kafka"), KafkaSettings())
