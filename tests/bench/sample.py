"""One create as the command service handles it, for the sizes of what it stores."""

from functools import partial

import orjson

from command_api.handling.appends import Caller
from command_api.handling.bodies import parse_body
from command_api.handling.handle import WritePath, handle
from command_api.handling.idempotency import fingerprint
from command_api.orders import bodies
from domain.order.ids import OrderId
from infra import clock
from infra.event_store.memory import MemoryEventStore
from infra.event_store.protocol import AppendCommand, Appended, AppendOutcome
from infra.tenancy import Tenant
from tests.bench.load.requests import CREATE_PATH, ORDER, ORDER_BODY

_TENANT = Tenant("acme", livemode=False)


class _Recorder(MemoryEventStore):
    """A store that accepts everything and keeps only the last command."""

    last: AppendCommand | None = None

    async def append(self, command: AppendCommand) -> AppendOutcome:
        """Accept it."""
        self.last = command
        return Appended(len(command.events), 1, clock.now())


async def stored_sizes() -> tuple[int, int]:
    """Return the bytes of the event and of the response that one create of the benchmark stores."""
    caller = Caller(
        tenant=_TENANT,
        key_id="abcd1234",
        idempotency_key="k" * 32,
        fingerprint=fingerprint("POST", CREATE_PATH, orjson.dumps(ORDER, option=orjson.OPT_SORT_KEYS)),
        path=CREATE_PATH,
        request_id=str(clock.new_id()),
        traceparent=None,
    )
    body = parse_body(bodies.CreateOrderBody, orjson.loads(ORDER_BODY))
    store = _Recorder()
    await handle(
        WritePath(store), caller, partial(bodies.create_order, body, OrderId(clock.new_id()), _TENANT), status=201
    )
    if store.last is None:
        raise AssertionError("the write path appends before it responds")
    return len(store.last.events[0].payload), len(store.last.response)
