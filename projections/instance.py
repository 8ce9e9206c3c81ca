"""The name of a worker across restarts, held by one process at a time.

Kafka gives the partitions of a name to whoever came last, and the one before waits for records that never come. So a
second worker under the same name does not join the group: it says whose name it is, and waits.
"""

from contextlib import AsyncExitStack

from infra.postgres.leases import Lease


class InstanceTakenError(Exception):
    """Another process that is alive has the same name."""

    def __init__(self, name: str, holder: str | None) -> None:
        super().__init__(
            f"HARBOR_WORKER__INSTANCE_ID={name} belongs to a worker that runs, {holder}: give each worker its own, or "
            "end that one"
        )


class Instance:
    """The hold on a name; `lease` is of this process and this name."""

    def __init__(self, name: str, lease: Lease) -> None:
        self._name = name
        self._lease = lease
        self._kept: AsyncExitStack | None = None

    async def hold(self) -> None:
        """Take the name, or see that it is still ours; cheap when it is.

        Raises:
            InstanceTakenError: another process has it; it may have taken it while this one was frozen.
            one of `ANY_DATABASE_ERROR`: the database cannot be asked.
        """
        if self._lease.is_held():
            return
        await self.let_go()
        await self._lease.release()  # what PostgreSQL did not hear while it was away
        if not await self._lease.try_acquire():
            if self._lease.seems_ours:
                raise ConnectionError("PostgreSQL has not heard yet that this worker let its earlier lease go")
            raise InstanceTakenError(self._name, self._lease.holder_seen)
        self._kept = AsyncExitStack()
        await self._kept.enter_async_context(self._lease.kept())

    async def let_go(self) -> None:
        """Give the name up; does nothing when it is not ours."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            await kept.aclose()
