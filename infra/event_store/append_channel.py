"""The appender's own connection: sends one batch at a time and says what a failure means for what was sent."""

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import asyncpg

from infra import clock
from infra.event_store.append_batch import append_batch
from infra.event_store.protocol import FINGERPRINT_BYTES, NO_STREAM, AppendCommand, AppendOutcome, NewEvent
from infra.postgres.connection import DedicatedConnection
from infra.postgres.failures import CONNECTION_GONE, UNREACHABLE

T = TypeVar("T")

# SQLSTATE classes and codes after which PostgreSQL has rolled back and the same batch may succeed later.
_LATER_CLASSES = (
    "25",  # this session must not append: its commits would not wait for the disk, or it is read-only
    "40",  # rolled back by a deadlock
    "42",  # the append is not there or not allowed: an operator is at work
    "53",  # out of disk or memory or connections
    "55",  # lock timeout
)
_LATER_CODES = ("57014",)  # statement canceled
# What a command itself can be guilty of: a value or a size that no column takes.
_OF_THE_COMMAND = ("22", "23", "54")
_LEAVING_CLASS = "57"  # shutting down, crashed: the connection ends, perhaps after the commit
_NO_PARTITION = "23514"  # a check was violated, or no partition takes the row


class AppendChannel(Protocol):
    """Where an `Appender` sends its batches."""

    async def send(self, commands: Sequence[AppendCommand]) -> list[AppendOutcome]:
        """Append the batch and give one outcome per command.

        Raises:
            OutcomeUnknownError: it may have been written; send it again to know.
            NotNowError: nothing was written; the same batch may succeed later.
            BatchRefusedError: nothing was written, and sending the same batch again would end the same way.
        """
        ...

    async def probe(self) -> None:
        """Find out whether a batch would be appended now: append one and take it back. Nothing is written.

        Raises:
            OutcomeUnknownError, NotNowError, BatchRefusedError: as `send` of any batch would.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class OutcomeUnknownError(Exception):
    """The connection ended before the answer came."""


class NotNowError(Exception):
    """PostgreSQL cannot be reached or cannot write at the moment; nothing of the batch was written."""


class BatchRefusedError(Exception):
    """PostgreSQL refuses something in this batch; nothing of it was written."""


class BatchFailedError(BatchRefusedError):
    """PostgreSQL failed at something in this batch that no command is to blame for; nothing of it was written."""


def _probe() -> AppendCommand:
    key, now = clock.new_id(), clock.now()
    event = NewEvent(clock.new_id(), "probe", 1, now, b"{}", "system:probe")
    return AppendCommand("probe", str(key), bytes(FINGERPRINT_BYTES), key, "probe", NO_STREAM, (event,), 200, b"{}")


class PostgresAppendChannel:
    """`AppendChannel` over one dedicated connection, made when first needed and again whenever it is lost."""

    def __init__(self, connect: Callable[[], Awaitable[DedicatedConnection]], *, log_id: int = 0) -> None:
        self._connect = connect
        self._log_id = log_id
        self._connection: DedicatedConnection | None = None

    async def send(self, commands: Sequence[AppendCommand]) -> list[AppendOutcome]:
        """Append the batch; see `AppendChannel.send`."""
        return await self._doing(lambda connection: append_batch(connection, commands, log_id=self._log_id))

    async def probe(self) -> None:
        """Append and take it back; see `AppendChannel.probe`. The log stays locked for a round trip more than usual."""

        async def append_and_take_back(connection: DedicatedConnection) -> None:
            transaction = connection.transaction()
            await transaction.start()
            await append_batch(connection, (_probe(),), log_id=self._log_id)
            await transaction.rollback()

        try:
            await self._doing(append_and_take_back)
        except BaseException:
            self._drop()  # the transaction may still be open, and nothing may ever be appended inside it
            raise

    async def _doing(self, work: Callable[[DedicatedConnection], Awaitable[T]]) -> T:
        """Do something on the connection and tell what its failure means."""
        connection = await self._connected()
        try:
            return await work(connection)
        except asyncpg.PostgresError as error:
            raise await self._meaning(connection, error) from error
        except CONNECTION_GONE as error:
            # InterfaceError is also what asyncpg raises for arguments it does not take: then nothing was sent.
            if isinstance(error, asyncpg.InterfaceError) and not connection.is_closed():
                raise BatchRefusedError(str(error)) from error
            self._drop()
            raise OutcomeUnknownError(str(error)) from error
        except (ValueError, TypeError, OverflowError) as error:
            raise BatchRefusedError(str(error)) from error  # an argument that cannot be hashed
        except BaseException:
            self._drop()  # cancelled in the middle: whatever comes over this connection next would be a wrong answer
            raise

    async def close(self) -> None:
        """Close the connection politely, at once when it does not listen."""
        if self._connection is not None:
            with contextlib.suppress(*UNREACHABLE):
                await self._connection.close(timeout=1.0)
            self._connection = None

    async def _connected(self) -> DedicatedConnection:
        if self._connection is None or self._connection.is_closed():
            try:
                self._connection = await self._connect()
            except UNREACHABLE as error:
                raise NotNowError(f"cannot connect: {error}") from error
        return self._connection

    async def _meaning(self, connection: DedicatedConnection, error: asyncpg.PostgresError) -> Exception:
        state = error.sqlstate or ""
        if isinstance(error, asyncpg.PostgresConnectionError) or (
            state.startswith(_LEAVING_CLASS) and state not in _LATER_CODES
        ):
            self._drop()
            return OutcomeUnknownError(str(error))
        if state.startswith(_LATER_CLASSES) or state in _LATER_CODES:
            return NotNowError(str(error))
        if state == _NO_PARTITION and "no partition" in str(error):
            # The maintenance task did not run for weeks; make the partition and let the caller try again.
            with contextlib.suppress(*UNREACHABLE):
                await connection.execute("SELECT harbor.maintain_partitions()")
            return NotNowError(str(error))
        return BatchRefusedError(str(error)) if state.startswith(_OF_THE_COMMAND) else BatchFailedError(str(error))

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
