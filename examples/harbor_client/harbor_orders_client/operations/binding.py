"""Bind operations to a client: `authorize = Verb(payments.authorize_order)` is a method with that function's arguments.

Each operation is declared once. The group it is read from decides whether it blocks or is awaited.
"""

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from harbor_orders_client.transport.session import Listing, Page, Session
from harbor_orders_client.transport.wire import Program, Request

P = ParamSpec("P")
T = TypeVar("T")


class Runs(Protocol):
    """Runs programs by blocking."""

    session: Session

    def run(self, program: Program[T]) -> T:
        """Run a program to its end."""
        ...


class Awaits(Protocol):
    """Runs programs by awaiting."""

    session: Session

    async def run(self, program: Program[T]) -> T:
        """Run a program to its end."""
        ...


class Group:
    """Operations of a client that blocks."""

    def __init__(self, client: Runs) -> None:
        self.client = client


class AsyncGroup:
    """Operations of a client that is awaited."""

    def __init__(self, client: Awaits) -> None:
        self.client = client


class Verb(Generic[P, T]):
    """One request."""

    def __init__(self, call: Callable[P, Request[T]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    @overload
    def __get__(self, group: None, _owner: type) -> Self: ...
    @overload
    def __get__(self, group: Group, _owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, group: AsyncGroup, _owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, group: Group | AsyncGroup | None, _owner: type) -> object:
        if group is None:
            return self
        client = group.client

        @functools.wraps(self._call)
        def verb(*args: P.args, **kwargs: P.kwargs) -> T | Coroutine[Any, Any, T]:
            return client.run(client.session.perform(self._call(*args, **kwargs)))

        return verb


class Pages(Generic[P, T]):
    """A list: an iterator that fetches the next page when the one before is used up."""

    def __init__(self, call: Callable[P, Listing[T]]) -> None:
        self._call = call
        self.__doc__ = call.__doc__

    @overload
    def __get__(self, group: None, _owner: type) -> Self: ...
    @overload
    def __get__(self, group: Group, _owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, group: AsyncGroup, _owner: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, group: Group | AsyncGroup | None, _owner: type) -> object:
        if group is None:
            return self

        @functools.wraps(self._call)
        def verb(*args: P.args, **kwargs: P.kwargs) -> Iterator[T] | AsyncIterator[T]:
            listing = self._call(*args, **kwargs)
            return _items(group.client, listing) if isinstance(group, Group) else _async_items(group.client, listing)

        return verb


def _items(client: Runs, listing: Listing[T]) -> Iterator[T]:
    page: Page[T] = client.run(client.session.first_page(listing.page(None)))
    yield from page.data
    while page.next_cursor is not None:
        page = client.run(client.session.perform(listing.page(page.next_cursor)))
        yield from page.data


async def _async_items(client: Awaits, listing: Listing[T]) -> AsyncIterator[T]:
    page: Page[T] = await client.run(client.session.first_page(listing.page(None)))
    while True:
        for item in page.data:
            yield item
        if page.next_cursor is None:
            return
        page = await client.run(client.session.perform(listing.page(page.next_cursor)))
