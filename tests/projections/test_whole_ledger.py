"""The whole ledger of an order on the read side: each kind of event and each status arrives, also beside old rows."""

from typing import Final

import httpx
import orjson

from domain.order.events import EVENT_TYPES
from tests.support.orders.builders import order_body
from tests.support.services.command_service import ORDERS, Json, Service, postgres_service
from tests.support.services.projecting import caught_up, differences, store_worker
from tests.support.services.servers import Database

_PART: Final[Json] = {"amount": "10.00", "final": False}
_PAYOUT: Final[Json] = {"gross": "10.00", "fee": "0.20", "net": "9.80", "value_date": "2026-11-25"}
_AMENDMENT: Final[Json] = {"changes": [{"op": "set_quantity", "line_id": 1, "quantity": 2}], "reason": "one less"}
_LIFE: Final[tuple[tuple[str, Json], ...]] = (
    ("amendments", _AMENDMENT),
    ("notes", {"note": "k4nary", "visibility": "internal"}),
    ("authorize", {}),
    ("captures", _PART),
    ("refunds", {"amount": "5.00", "reason": "broken"}),
    ("settlements", _PAYOUT),
    ("void", {"reason": "sold out"}),
)


async def test_every_event_of_a_whole_life_is_projected_and_shown_in_the_timeline(database: Database) -> None:
    async with postgres_service(database) as service, store_worker(database):
        order_id = await lived(service)
        await caught_up(database)

    timeline = await database.fetch(
        "SELECT type, from_status, to_status, reason, changes FROM harbor_read.order_timeline_v1 ORDER BY sequence"
    )
    [row] = await database.fetch("SELECT status, document FROM harbor_read.orders_v1 WHERE order_id = $1", order_id)
    assert [tuple(entry)[:4] for entry in timeline] == [
        ("order.created", None, "pending", None),
        ("order.amended", "pending", "pending", "one less"),
        ("order.note_added", "pending", "pending", None),
        ("order.authorized", "pending", "authorized", None),
        ("order.captured", "authorized", "partially_captured", None),
        ("order.refunded", "partially_captured", "partially_captured", "broken"),
        ("order.settlement_recorded", "partially_captured", "partially_captured", None),
        ("order.authorization_released", "partially_captured", "settled", "sold out"),
        ("order.settled", "settled", "settled", None),
    ]
    assert not any("k4nary" in entry["changes"] for entry in timeline), "the text of a note is personal"
    assert (row["status"], orjson.loads(row["document"])["refunded"]["amount"]) == ("settled", "5.00")
    assert await differences(database) == []


async def test_an_endpoint_can_ask_for_each_kind_of_event(database: Database) -> None:
    async with postgres_service(database) as service:
        for kind in EVENT_TYPES:
            body = {"url": "https://example.com/webhooks", "event_types": [kind.type]}
            answer = await service.post("/api/v1/webhook-endpoints", body)
            assert answer.status_code == 201, kind.type


async def lived(service: Service) -> str:
    answer = await service.post(body=order_body())
    order_id: str = answer.json()["id"]
    for path, body in _LIFE:
        answer = await service.post(f"{ORDERS}/{order_id}/{path}", body, If_Match=answer.headers["etag"])
        await accepted(answer)
    return order_id


async def accepted(answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text
