"""No amount becomes a float on its way from a request's bytes to what is stored, projected, sent and read.

In a currency of each number of digits, through every event. Each object on the way is taken apart, and bytes are parsed
as JSON by a parser that would show a float.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Final, NamedTuple, get_args

import orjson
import pytest
from pydantic import BaseModel

from command_api.handling.appends import Caller, new_event, record
from command_api.handling.bodies import B, parse_body
from command_api.order_problems import order_problem
from command_api.orders import bodies, change_bodies, money_bodies
from domain.change import change_document
from domain.codec import decode
from domain.currencies import EXPONENTS
from domain.money import Currency, amount_text
from domain.order import document as order_document
from domain.order.cached_state import dump_state, load_state
from domain.order.commands import Authorize, Cancel, Expire, OrderCommand, Refund, Void
from domain.order.decide import decide
from domain.order.document import Order, render_order
from domain.order.errors import AmountError
from domain.order.events import OrderEvent
from domain.order.ids import OrderId
from domain.order.state import OrderState, evolve
from harbor_orders_client import UnexpectedResponse
from harbor_orders_client.documents import exact
from harbor_orders_client.documents import responses as client
from harbor_orders_client.documents.reading import read
from infra.clock import new_id
from infra.http import problems
from infra.http.json_body import parse_json
from infra.tenancy import Tenant
from projections.projection import LogRecord
from projections.read_models import order_timeline, orders
from projections.webhooks.body import EventHead, render_snapshot, render_thin
from tests.support.orders.currencies import ONE_OF_EACH
from tests.support.orders.float_walk import floats_within

NOW: Final = datetime(2026, 11, 25, 1, 2, 3, 123456, tzinfo=UTC)
TENANT: Final = Tenant("acme", livemode=False)
CALLER: Final = Caller(TENANT, "k3y00001", "key", b"f" * 32, "/api/v1/orders", "req-1", None)
LARGE: Final = 333_333_333_333_333
"""A third of the largest total, so that two of them and a little more are an order."""


class Way:
    """One order's way through the system; `floats` are the places where a float was met."""

    def __init__(self, currency: Currency) -> None:
        self.currency = currency
        self.order_id = OrderId(new_id())
        self.state: OrderState | None = None
        self.position = 0
        self.types: set[str] = set()
        self.floats: list[str] = []

    def text(self, minor: int) -> str:
        """Return an amount as a client writes it."""
        return amount_text(minor, self.currency)

    def look(self, *things: object) -> None:
        """Take things apart."""
        for thing in things:
            self.floats += floats_within(thing, type(thing).__name__)

    def body(self, kind: type[B], **members: object) -> B:
        """Return a body as it is made of a request's bytes."""
        parsed = parse_json(orjson.dumps(members))
        body = parse_body(kind, parsed.value)
        self.look(parsed, body)
        return body

    def ask(self, make: OrderCommand | Callable[[datetime], OrderCommand]) -> None:
        """Decide a command, and follow its events everywhere."""
        command = make(NOW) if callable(make) else make
        self.look(command)
        try:
            events = decide(command, self.state)
        except AmountError as refused:
            self.look(problems.render(order_problem(refused), CALLER.path, CALLER.request_id))
            return
        for event in events:
            self.follow(event, command)

    def follow(self, event: OrderEvent, command: OrderCommand) -> None:
        """Store an event, read it again, fold, cache, project, render, send."""
        before = None if self.state is None else render_order(self.state)
        self.position += 1
        self.types.add(event.type)
        stored = new_event(record(event, command, CALLER, self.position, new_id()))
        reread = decode(stored.type, stored.schema_version, stored.payload)
        after = evolve(self.state, reread)
        self.state = load_state(dump_state(after))
        row = LogRecord(
            position=self.position,
            partition=0,
            tenant_id=TENANT.id,
            order_id=self.order_id,
            sequence=self.position,
            type=stored.type,
            schema_version=stored.schema_version,
            event_id=stored.event_id,
            recorded_at=NOW,
            payload=stored.payload,
        )
        head = EventHead(str(row.event_id), row.type, "now", False, row.sequence, str(row.order_id), None)
        document = render_order(after)
        self.look(
            event, stored._replace(payload=stored.payload), reread, after, dump_state(after), self.state, document
        )
        self.look(orders.row_of(after, row), order_timeline.row_of(row), render_thin(head, change_document(event)))
        self.look(
            orjson.loads(order_timeline.row_of(row).changes),
            render_snapshot(head, change_document(event), document, before),
        )
        self.look(Order.model_validate_json(document), read(client.Order, exact.parse(document)))


def whole_life(currency: Currency) -> Iterator[Way]:
    """Return ways of orders in a currency that meet, together, every event and refusals of amounts."""
    way = opened(Way(currency))
    changes = [
        {"op": "set_price", "line_id": 2, "unit_price": way.text(7)},
        {"op": "add", "sku": "EXTRA", "quantity": 3, "unit_price": way.text(1)},
    ]
    amendment = way.body(change_bodies.AmendmentBody, changes=changes)
    way.ask(partial(change_bodies.amend_lines, amendment, way.order_id))
    details = way.body(change_bodies.DetailsBody, metadata={"changed": "yes"})
    way.ask(partial(change_bodies.update_details, details, way.order_id))
    way.ask(partial(change_bodies.add_note, way.body(change_bodies.NoteBody, note="call"), way.order_id))
    way.ask(Authorize(way.order_id, NOW))
    for members in (
        {"amount": way.text(10**15)},
        {"amount": way.text(LARGE), "final": False},
        {"lines": [{"line_id": 2, "quantity": 1}], "final": False},
        {"amount": way.text(1)},
    ):
        way.ask(partial(money_bodies.capture, way.body(money_bodies.CaptureBody, **members), way.order_id))
    for minor in (10**15, LARGE // 7, 1):
        way.ask(Refund(way.order_id, way.body(money_bodies.RefundBody, amount=way.text(minor)).amount, None, NOW))
    assert way.state is not None
    gross = way.state.ledger.captured_minor
    for part, fee in ((gross + 1, 0), (gross // 3, gross // 97), (gross - gross // 3, 0)):
        amounts = {"gross": way.text(part), "fee": way.text(fee), "net": way.text(part - fee)}
        body = way.body(money_bodies.SettlementBody, **amounts, value_date="2026-11-25")
        way.ask(partial(money_bodies.settle, body, way.order_id))
    yield way
    for last in (Void, Cancel):
        way = opened(Way(currency))
        way.ask(Authorize(way.order_id, NOW))
        way.ask(last(way.order_id, None, NOW))
        yield way
    way = opened(Way(currency))
    way.ask(Expire(way.order_id, NOW.replace(year=2027)))
    yield way


def opened(way: Way) -> Way:
    """Return the way after an order of two lines was created."""
    lines = [
        {"sku": "LANTERN-1", "quantity": 2, "unit_price": way.text(LARGE)},
        {"sku": "HANGER", "quantity": 3, "unit_price": way.text(29)},
    ]
    members = {"customer_email": "buyer@example.com", "currency": way.currency.code, "lines": lines}
    body = way.body(bodies.CreateOrderBody, **members)
    way.ask(partial(bodies.create_order, body, way.order_id, TENANT))
    return way


@pytest.mark.parametrize("code", ONE_OF_EACH)
def test_no_float_occurs_anywhere_on_the_way_of_an_amount(code: str) -> None:
    ways = list(whole_life(Currency(code, EXPONENTS[code])))

    assert [place for way in ways for place in way.floats] == []
    assert {each for way in ways for each in way.types} == {event.type for event in get_args(OrderEvent)}
    assert [way.state.status.value for way in ways if way.state] == ["settled", "canceled", "canceled", "expired"]


def test_a_float_in_a_document_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def slipped(minor: int, currency: Currency) -> dict[str, object]:
        return {"amount": amount_text(minor, currency), "amount_minor": minor * 1.0, "currency": currency.code}

    monkeypatch.setattr(order_document, "amount_document", slipped)
    way = Way(Currency("EUR", 2))

    with pytest.raises(UnexpectedResponse):  # the client refuses it as well
        opened(way)

    assert "bytes/json/total/amount_minor" in way.floats


class Pair(NamedTuple):
    one: object
    other: object


class Model(BaseModel):
    value: object


class Choice(Enum):
    HALF = 0.5


@dataclass(frozen=True, slots=True)
class Slotted:
    value: object


@pytest.mark.parametrize(
    ("thing", "place"),
    [
        (0.5, "/"),
        (Choice.HALF, "/value"),
        ([1, (2, 0.5)], "/1/1"),
        ({"a": {"b": 0.5}}, "/a/b"),
        ({0.5: 1}, "/key"),
        (frozenset({0.5}), "/member"),
        (Pair(1, 0.5), "/1"),
        (Model(value=[0.5]), "/value/0"),
        (Slotted(Slotted(0.5)), "/value/value"),
        (b'{"a":[1,0.5]}', "/json/a/1"),
        (b'{"a":1e2}', "/json/a"),
        (Slotted(b"[0.0]"), "/value/json/0"),
    ],
)
def test_a_float_is_found_wherever_it_hides(thing: object, place: str) -> None:
    assert list(floats_within(thing)) == [place]


def test_whole_numbers_texts_and_decimals_are_not_floats() -> None:
    things = [1, True, "0.5", None, Decimal("0.5"), NOW, new_id(), b'{"a":"0.5"}', Model(value=1)]

    assert list(floats_within(things)) == []


def test_what_cannot_be_looked_into_is_not_passed_over() -> None:
    with pytest.raises(TypeError):
        list(floats_within([object()]))
