"""A subscription to the log: pages as they are asked for, then wake-ups, and a poll in case one is lost."""

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

from eventsourcing.persistence import ApplicationRecorder, Notification, Subscription

from infra.eventsourcing_module import reading
from infra.eventsourcing_module.database import Database
from infra.eventsourcing_module.reading import Page

_PAGE: Final = 500


class LogSubscription(Subscription[ApplicationRecorder]):
    """The library's subscription, without a thread of its own; it holds one page at most.

    It remembers how far it has looked and not only what it has found, so that a topic that is rare in a long log costs
    each part of the log one look. `stop` may be called from any thread.
    """

    def __init__(
        self, recorder: ApplicationRecorder, database: Database, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._database = database
        self._scanned_to = max(0, gt or 0)
        self._page: deque[Notification] = deque()
        self._woken = threading.Event()
        self._is_listening = False

    def stop(self) -> None:
        """End the iteration, also one that waits; notifications read but not returned are dropped."""
        super().stop()
        self._woken.set()
        self._database.unlisten(self._woken)

    def __next__(self) -> Notification:
        """Return the next notification, waiting for it as long as it takes.

        Raises:
            StopIteration: the subscription was stopped.
            PersistenceError: the log cannot be read; asking again goes on where it was.
        """
        while not self._has_been_stopped:
            if self._page:
                return self._page.popleft()
            self._woken.clear()  # before looking: whatever is appended after the look sets it again
            if self._look():
                self._await_more()
        raise StopIteration

    def _look(self) -> bool:
        """Read the next page; return whether there is nothing more at the moment."""
        page: Page = self._database.run(
            lambda connection: reading.read_page(
                connection,
                self._database.settings.tenant_id,
                after=self._scanned_to,
                upto=None,
                topics=self._topics,
                limit=_PAGE,
            )
        )
        self._page.extend(page.notifications)
        self._scanned_to = page.scanned_to
        return page.is_last and not page.notifications

    def _await_more(self) -> None:
        if not self._is_listening:
            self._is_listening = True
            self._database.listen(self._woken)
        if self._has_been_stopped:  # meanwhile, from another thread
            self._database.unlisten(self._woken)
        else:
            self._woken.wait(self._database.idle_s)
