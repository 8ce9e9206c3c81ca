"""The reason in a log line is a sentence: never empty, one line, and no value that was refused."""

import asyncpg
import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError, NotLeaderForPartitionError

from infra.event_store.protocol import StoreUnavailableError
from infra.observability.reasons import MAX_CHARS, reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(), "no answer in time (TimeoutError)"),
        (TimeoutError("the lock is held"), "the lock is held (TimeoutError)"),
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 5432)"),
         "connection refused by 127.0.0.1:5432 (ConnectionRefusedError)"),
        (ConnectionResetError(), "connection reset error (ConnectionResetError)"),
        (OSError(28, "No space left on device"), "no space left on device (OSError)"),
        (asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
         "the connection to PostgreSQL was lost in the middle of a statement (InternalClientError)"),
        (asyncpg.InterfaceError("connection is closed"),
         "connection is closed (InterfaceError)"),
        (asyncpg.AdminShutdownError("terminating connection due to administrator command"),
         "PostgreSQL: terminating connection due to administrator command (AdminShutdownError)"),
        (asyncpg.UniqueViolationError("duplicate key (email)=(a@b.example)"),
         "PostgreSQL refused a value, code 23505 (UniqueViolationError)"),
        (NodeNotReadyError(), "node not ready error (NodeNotReadyError)"),
        (KafkaConnectionError("Unable to bootstrap"), "Unable to bootstrap (KafkaConnectionError)"),
        (KafkaTimeoutError(), "kafka timeout error (KafkaTimeoutError)"),
        (NotLeaderForPartitionError(), "not leader for partition error (NotLeaderForPartitionError)"),
        (StoreUnavailableError(reason_of(TimeoutError())), "no answer in time (TimeoutError)"),
        (asyncpg.InterfaceError("cannot call Connection.execute(): connection has been released back to the pool"),
         "the connection to PostgreSQL was lost in the middle of a statement (InterfaceError)"),
        (MemoryError(), "memory error (MemoryError)"),
        (ValueError("one\ntwo"), "one (ValueError)"),
    ],
)  # fmt: skip
def test_a_reason_says_what_went_wrong(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_a_reason_has_a_bound() -> None:
    assert len(reason_of(ValueError("x" * 10_000))) == MAX_CHARS
