"""One create as the command service handles it, taken apart: for the sizes of what it stores and for its layers."""

from datetime import datetime
from functools import partial

import orjson

from command_api.handling.appends import Caller
from command_api.handling.bodies import parse_body
from command_api.handling.handle import MakeCommand, WritePath, handle
from command_api.handling.idempotency import fingerprint
from command_api.orders import bodies
from domain.order.ids import OrderId
from infra import clock
from infra.event_store.memory import MemoryEventStore
from infra.event_store.protocol import AppendCommand, Appended, AppendOutcome
from infra.tenancy import Tenant
from tests.bench.orders import CREATE_PATH, ORDER, ORDER_BODY, new_key

TENANT = Tenant("acme", livemode=False)


class Recorder(MemoryEventStore):
    """A store that accepts everything at once and keeps only the last command: the write path without its wait."""

    last: AppendCommand | None = None

    async def append(self, command: AppendCommand) -> AppendOutcome:
        """Say yes."""
        self.last = command
        return Appended(len(command.events), 1, A_MOMENT)


A_MOMENT: datetime = clock.now()


def a_caller(key: str | None = None) -> Caller:
    """Return who creates."""
    return Caller(
        tenant=TENANT,
        key_id="abcd1234",
        idempotency_key=key or new_key().decode(),
        fingerprint=fingerprint("POST", CREATE_PATH, orjson.dumps(ORDER, option=orjson.OPT_SORT_KEYS)),
        path=CREATE_PATH,
        request_id=str(clock.new_id()),
        traceparent=None,
    )


def a_create() -> MakeCommand:
    """Return what makes the command of the benchmark's order."""
    body = parse_body(bodies.CreateOrderBody, orjson.loads(ORDER_BODY))
    return partial(bodies.create_order, body, OrderId(clock.new_id()), TENANT)


async def an_append() -> AppendCommand:
    """Return what the service appends for the benchmark's order: events, answer and key."""
    store = Recorder()
    await handle(WritePath(store), a_caller(), a_create(), status=201)
    if store.last is None:
        raise AssertionError("the write path appends before it answers")
    return store.last


async def stored_sizes() -> tuple[int, int]:
    """Return the bytes of the event and of the answer that one create stores."""
    append = await an_append()
    return len(append.events[0].payload), len(append.response)
