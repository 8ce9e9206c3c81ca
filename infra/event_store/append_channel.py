"""The appender's own connection: it sends one batch at a time and says what each failure means for the batch."""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import asyncpg

from infra import clock
from infra.event_store.append_batch import append_batch
from infra.event_store.protocol import FINGERPRINT_BYTES, NO_STREAM, AppendCommand, AppendOutcome, NewEvent
from infra.observability.reasons import reason_of
from infra.postgres.connection import DedicatedConnection
from infra.postgres.failures import ANY_DATABASE_ERROR, CONNECTION_LOST

T = TypeVar("T")

# SQLSTATE classes and codes after which PostgreSQL has rolled back and the same batch may succeed later.
_LATER_CLASSES = (
    "25",  # this session must not append: its commits would not wait for the disk, or it is read-only
    "40",  # rolled back by a deadlock
    "42",  # the function is missing or not allowed: an operator is at work
    "53",  # out of disk or memory or connections
    "55",  # lock timeout
)
_LATER_CODES = ("57014",)  # statement canceled
# What a command can cause: a value or a size that no column accepts.
_CAUSED_BY_A_COMMAND = ("22", "23", "54")
_SHUTDOWN_CLASS = "57"  # shutting down, crashed: the connection ends, perhaps after the commit
_NO_PARTITION = "23514"  # a check was violated, or no partition holds the row


class AppendChannel(Protocol):
    """Where an `Appender` sends its batches."""

    async def send(self, commands: Sequence[AppendCommand]) -> list[AppendOutcome]:
        """Append the batch and return one outcome per command.

        Raises:
            OutcomeUnknownError: it may have been written; send it again to find out.
            NotNowError: nothing was written; the same batch may succeed later.
            BatchRefusedError: nothing was written, and the same batch would be refused again.
        """
        ...

    async def probe(self) -> None:
        """Find out whether a batch would be appended now: append one and roll it back.

        Raises:
            OutcomeUnknownError, NotNowError, BatchRefusedError: as `send` of any batch would.
        """
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class OutcomeUnknownError(Exception):
    """The connection ended before the outcome came."""


class NotNowError(Exception):
    """PostgreSQL cannot be reached or cannot write at the moment; nothing of the batch was written."""


class BatchRefusedError(Exception):
    """PostgreSQL refuses something in this batch; nothing of it was written."""


class BatchFailedError(BatchRefusedError):
    """PostgreSQL failed for a reason that lies in no command; nothing of the batch was written."""


def _probe() -> AppendCommand:
    key, now = clock.new_id(), clock.now()
    event = NewEvent(clock.new_id(), "probe", 1, now, b"{}", "system:probe")
    return AppendCommand("probe", str(key), bytes(FINGERPRINT_BYTES), key, "probe", NO_STREAM, (event,), 200, b"{}")


class PostgresAppendChannel:
    """`AppendChannel` over one dedicated connection, opened when first needed and again whenever it is lost."""

    def __init__(self, connect: Callable[[], Awaitable[DedicatedConnection]], *, log_id: int = 0) -> None:
        self._connect = connect
        self._log_id = log_id
        self._connection: DedicatedConnection | None = None

    async def send(self, commands: Sequence[AppendCommand]) -> list[AppendOutcome]:
        """Append the batch; see `AppendChannel.send`."""
        return await self._run(lambda connection: append_batch(connection, commands, log_id=self._log_id))

    async def probe(self) -> None:
        """Append and roll back; see `AppendChannel.probe`. The log stays locked for one more round trip than usual."""

        async def append_and_roll_back(connection: DedicatedConnection) -> None:
            transaction = connection.transaction()
            await transaction.start()
            await append_batch(connection, (_probe(),), log_id=self._log_id)
            await transaction.rollback()

        try:
            await self._run(append_and_roll_back)
        except BaseException:
            self._drop()  # the transaction may still be open, and nothing may be appended inside it
            raise

    async def _run(self, work: Callable[[DedicatedConnection], Awaitable[T]]) -> T:
        """Do something on the connection and raise what its failure means."""
        connection = await self._connected()
        try:
            return await work(connection)
        except asyncpg.PostgresError as error:
            raise await self._meaning(connection, error) from error
        except CONNECTION_LOST as error:
            # asyncpg also raises InterfaceError for arguments it does not accept: then nothing was sent.
            if isinstance(error, asyncpg.InterfaceError) and not connection.is_closed():
                raise BatchRefusedError(str(error)) from error
            self._drop()
            raise OutcomeUnknownError(reason_of(error)) from error
        except (ValueError, TypeError, OverflowError) as error:
            raise BatchRefusedError(str(error)) from error  # an argument that cannot be hashed
        except BaseException:
            self._drop()  # cancelled: what comes over this connection next would be the response to this call
            raise

    async def close(self) -> None:
        """Close the connection, by force when the server does not react."""
        if self._connection is not None:
            with contextlib.suppress(*ANY_DATABASE_ERROR):
                await self._connection.close(timeout=1.0)
            self._connection = None

    async def _connected(self) -> DedicatedConnection:
        if self._connection is None or self._connection.is_closed():
            try:
                self._connection = await self._connect()
            except ANY_DATABASE_ERROR as error:
                raise NotNowError(f"cannot connect: {reason_of(error)}") from error
        return self._connection

    async def _meaning(self, connection: DedicatedConnection, error: asyncpg.PostgresError) -> Exception:
        state = error.sqlstate or ""
        if isinstance(error, asyncpg.PostgresConnectionError) or (
            state.startswith(_SHUTDOWN_CLASS) and state not in _LATER_CODES
        ):
            self._drop()
            return OutcomeUnknownError(reason_of(error))
        if state.startswith(_LATER_CLASSES) or state in _LATER_CODES:
            return NotNowError(reason_of(error))
        if state == _NO_PARTITION and "no partition" in str(error):
            # The maintenance task has not run for weeks: make the partition, so that the next try succeeds.
            with contextlib.suppress(*ANY_DATABASE_ERROR):
                await connection.execute("SELECT harbor.maintain_partitions()")
            return NotNowError(str(error))
        return BatchRefusedError(str(error)) if state.startswith(_CAUSED_BY_A_COMMAND) else BatchFailedError(str(error))

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
