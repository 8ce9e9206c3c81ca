"""The two clients: `HarborOrders` blocks, `AsyncHarborOrders` is awaited. Same operations, same rules."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from harbor_orders_client.documents.new_orders import NewOrder
from harbor_orders_client.operations import api_keys, batches, orders, payments, requests, webhooks
from harbor_orders_client.operations.batches import BatchItem
from harbor_orders_client.operations.binding import AsyncGroup, AsyncPages, AsyncVerb, Group, Pages, Verb
from harbor_orders_client.transport.http import exchange, exchange_async
from harbor_orders_client.transport.retries import Patience, Rules
from harbor_orders_client.transport.session import Session
from harbor_orders_client.transport.wire import Outcome, Pause, Program, Send, Service

T = TypeVar("T")


class Orders(Group):
    """Orders: create and change them, read them."""

    create = Verb(orders.create_order)
    amend = Verb(orders.amend_order)
    update = Verb(orders.update_order)
    add_note = Verb(orders.add_note)
    authorize = Verb(payments.authorize_order)
    capture = Verb(payments.capture_order)
    void = Verb(payments.void_order)
    cancel = Verb(payments.cancel_order)
    refund = Verb(payments.refund_order)
    settle = Verb(payments.settle_order)
    set_status = Verb(orders.set_order_status)
    get = Verb(orders.get_order)
    list = Pages(orders.list_orders)
    timeline = Pages(orders.list_timeline)
    notes = Pages(orders.list_notes)

    def create_many(self, orders: Iterable[NewOrder]) -> Sequence[BatchItem]:
        """Create any number of orders; give what became of each. Raises `BatchInterrupted`."""
        return self._client.run(batches.create_many(self._client.session, orders))


class WebhookEndpoints(Group):
    """Where webhooks go."""

    create = Verb(webhooks.create_webhook_endpoint)
    list = Verb(webhooks.list_webhook_endpoints)
    delete = Verb(webhooks.delete_webhook_endpoint)


class WebhookDeliveries(Group):
    """What was sent, and what came of it."""

    list = Pages(webhooks.list_webhook_deliveries)
    get = Verb(webhooks.get_webhook_delivery)
    resend = Verb(webhooks.resend_webhook_delivery)


class ApiKeys(Group):
    """The keys of a partner; takes the scope `keys:manage`."""

    create = Verb(api_keys.create_api_key)
    list = Pages(api_keys.list_api_keys)
    get = Verb(api_keys.get_api_key)
    rotate = Verb(api_keys.rotate_api_key)
    revoke = Verb(api_keys.revoke_api_key)
    events = Pages(api_keys.list_api_key_events)


class AsyncOrders(AsyncGroup):
    """Orders: create and change them, read them."""

    create = AsyncVerb(orders.create_order)
    amend = AsyncVerb(orders.amend_order)
    update = AsyncVerb(orders.update_order)
    add_note = AsyncVerb(orders.add_note)
    authorize = AsyncVerb(payments.authorize_order)
    capture = AsyncVerb(payments.capture_order)
    void = AsyncVerb(payments.void_order)
    cancel = AsyncVerb(payments.cancel_order)
    refund = AsyncVerb(payments.refund_order)
    settle = AsyncVerb(payments.settle_order)
    set_status = AsyncVerb(orders.set_order_status)
    get = AsyncVerb(orders.get_order)
    list = AsyncPages(orders.list_orders)
    timeline = AsyncPages(orders.list_timeline)
    notes = AsyncPages(orders.list_notes)

    async def create_many(self, orders: Iterable[NewOrder]) -> Sequence[BatchItem]:
        """Create any number of orders; give what became of each. Raises `BatchInterrupted`."""
        return await self._client.run(batches.create_many(self._client.session, orders))


class AsyncWebhookEndpoints(AsyncGroup):
    """Where webhooks go."""

    create = AsyncVerb(webhooks.create_webhook_endpoint)
    list = AsyncVerb(webhooks.list_webhook_endpoints)
    delete = AsyncVerb(webhooks.delete_webhook_endpoint)


class AsyncWebhookDeliveries(AsyncGroup):
    """What was sent, and what came of it."""

    list = AsyncPages(webhooks.list_webhook_deliveries)
    get = AsyncVerb(webhooks.get_webhook_delivery)
    resend = AsyncVerb(webhooks.resend_webhook_delivery)


class AsyncApiKeys(AsyncGroup):
    """The keys of a partner; takes the scope `keys:manage`."""

    create = AsyncVerb(api_keys.create_api_key)
    list = AsyncPages(api_keys.list_api_keys)
    get = AsyncVerb(api_keys.get_api_key)
    rotate = AsyncVerb(api_keys.rotate_api_key)
    revoke = AsyncVerb(api_keys.revoke_api_key)
    events = AsyncPages(api_keys.list_api_key_events)


class HarborOrders:
    """A client that blocks. May be shared by threads; close it, or use `with`.

    Args:
        api_key: of a partner; never shown in a representation, an error or a log line.
        command_url: address of the command service, without `/api`.
        query_url: address of the query service, without `/api`.
        timeout_s: seconds for each part of one attempt.
        max_retries: attempts after the first.
        total_timeout_s: seconds for all attempts of one request and the pauses between them.
        read_your_writes: whether reads wait until they hold what this client has changed.
        http: a client of yours (proxy, certificates, pool); it stays yours to close.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        api_key: str,
        *,
        command_url: str,
        query_url: str,
        timeout_s: float = 10.0,
        max_retries: int = 6,
        total_timeout_s: float = 60.0,
        read_your_writes: bool = True,
        http: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        rules = Rules(Patience(timeout_s, max_retries, total_timeout_s))
        self.session = Session(command_url, query_url, api_key, rules, read_your_writes)
        self._http, self._is_ours, self._sleep = http or httpx.Client(), http is None, sleep
        self.orders = Orders(self)
        self.webhook_endpoints = WebhookEndpoints(self)
        self.webhook_deliveries = WebhookDeliveries(self)
        self.api_keys = ApiKeys(self)

    def request(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        if_match: int | None = None,
        service: Service | None = None,
    ) -> T:
        """Send any request of the API by the same rules; see `requests.request` for the arguments."""
        made = requests.request(
            method,
            path,
            answer,
            body=body,
            query=query,
            idempotency_key=idempotency_key,
            if_match=if_match,
            service=service,
        )
        return self.run(self.session.perform(made))

    def run(self, program: Program[T]) -> T:
        """Run a program to its end."""
        outcome: Outcome = None
        while True:
            try:
                step = program.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            match step:
                case Send():
                    outcome = exchange(self._http, self.session, step)
                case Pause():
                    self._sleep(step.seconds)
                    outcome = None

    def close(self) -> None:
        """Close the connections."""
        if self._is_ours:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"HarborOrders(command_url={self.session.command_url!r}, query_url={self.session.query_url!r})"


class AsyncHarborOrders:
    """A client that is awaited; use `async with`, or close it with `aclose`. Arguments as of `HarborOrders`."""

    def __init__(
        self,
        api_key: str,
        *,
        command_url: str,
        query_url: str,
        timeout_s: float = 10.0,
        max_retries: int = 6,
        total_timeout_s: float = 60.0,
        read_your_writes: bool = True,
        http: httpx.AsyncClient | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        rules = Rules(Patience(timeout_s, max_retries, total_timeout_s))
        self.session = Session(command_url, query_url, api_key, rules, read_your_writes)
        self._http, self._is_ours, self._sleep = http or httpx.AsyncClient(), http is None, sleep
        self.orders = AsyncOrders(self)
        self.webhook_endpoints = AsyncWebhookEndpoints(self)
        self.webhook_deliveries = AsyncWebhookDeliveries(self)
        self.api_keys = AsyncApiKeys(self)

    async def request(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        if_match: int | None = None,
        service: Service | None = None,
    ) -> T:
        """Send any request of the API by the same rules; see `requests.request` for the arguments."""
        made = requests.request(
            method,
            path,
            answer,
            body=body,
            query=query,
            idempotency_key=idempotency_key,
            if_match=if_match,
            service=service,
        )
        return await self.run(self.session.perform(made))

    async def run(self, program: Program[T]) -> T:
        """Run a program to its end."""
        outcome: Outcome = None
        while True:
            try:
                step = program.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            match step:
                case Send():
                    outcome = await exchange_async(self._http, self.session, step)
                case Pause():
                    await self._sleep(step.seconds)
                    outcome = None

    async def aclose(self) -> None:
        """Close the connections."""
        if self._is_ours:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"AsyncHarborOrders(command_url={self.session.command_url!r}, query_url={self.session.query_url!r})"
