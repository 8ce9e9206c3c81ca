"""The two clients: `HarborOrders` blocks, `AsyncHarborOrders` is awaited. Same operations, same rules."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx

from harbor_orders_client.documents.new_orders import NewOrder
from harbor_orders_client.operations import api_keys, batches, orders, payments, requests, webhooks
from harbor_orders_client.operations.batches import BatchItem
from harbor_orders_client.operations.binding import AsyncGroup, Group, Pages, Verb
from harbor_orders_client.operations.requests import RequestOptions
from harbor_orders_client.transport.http import run, run_async
from harbor_orders_client.transport.retries import Patience, Rules
from harbor_orders_client.transport.session import Session
from harbor_orders_client.transport.wire import Program

T = TypeVar("T")


class _OrderVerbs:
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


class _WebhookEndpointVerbs:
    create = Verb(webhooks.create_webhook_endpoint)
    list = Pages(webhooks.list_webhook_endpoints)
    get = Verb(webhooks.get_webhook_endpoint)
    delete = Verb(webhooks.delete_webhook_endpoint)


class _WebhookDeliveryVerbs:
    list = Pages(webhooks.list_webhook_deliveries)
    get = Verb(webhooks.get_webhook_delivery)
    resend = Verb(webhooks.resend_webhook_delivery)


class _ApiKeyVerbs:
    create = Verb(api_keys.create_api_key)
    list = Pages(api_keys.list_api_keys)
    get = Verb(api_keys.get_api_key)
    rotate = Verb(api_keys.rotate_api_key)
    revoke = Verb(api_keys.revoke_api_key)
    events = Pages(api_keys.list_api_key_events)


class Orders(_OrderVerbs, Group):
    """Create, change and read orders."""

    def create_many(self, new_orders: Iterable[NewOrder]) -> Sequence[BatchItem]:
        """Create any number of orders. Return the outcome of each. Raises `BatchInterrupted`."""
        return self.client.run(batches.create_many(self.client.session, new_orders))


class AsyncOrders(_OrderVerbs, AsyncGroup):
    """Create, change and read orders."""

    async def create_many(self, new_orders: Iterable[NewOrder]) -> Sequence[BatchItem]:
        """Create any number of orders. Return the outcome of each. Raises `BatchInterrupted`."""
        return await self.client.run(batches.create_many(self.client.session, new_orders))


class WebhookEndpoints(_WebhookEndpointVerbs, Group):
    """Where webhooks go."""


class AsyncWebhookEndpoints(_WebhookEndpointVerbs, AsyncGroup):
    """Where webhooks go."""


class WebhookDeliveries(_WebhookDeliveryVerbs, Group):
    """What was sent, and what came of it."""


class AsyncWebhookDeliveries(_WebhookDeliveryVerbs, AsyncGroup):
    """What was sent, and what came of it."""


class ApiKeys(_ApiKeyVerbs, Group):
    """The API keys of a partner. Needs the scope `keys:manage`."""


class AsyncApiKeys(_ApiKeyVerbs, AsyncGroup):
    """The API keys of a partner. Needs the scope `keys:manage`."""


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

    def request(self, method: str, path: str, read_as: type[T], **options: Unpack[RequestOptions]) -> T:
        """Send any request of the API by the same rules; `requests.request` describes the arguments."""
        made = requests.request(method, path, read_as, **options)
        return self.run(self.session.perform(made))

    def run(self, program: Program[T]) -> T:
        """Run a program to its end."""
        return run(program, self._http, self.session, self._sleep)

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

    async def request(self, method: str, path: str, read_as: type[T], **options: Unpack[RequestOptions]) -> T:
        """Send any request of the API by the same rules; `requests.request` describes the arguments."""
        made = requests.request(method, path, read_as, **options)
        return await self.run(self.session.perform(made))

    async def run(self, program: Program[T]) -> T:
        """Run a program to its end."""
        return await run_async(program, self._http, self.session, self._sleep)

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
