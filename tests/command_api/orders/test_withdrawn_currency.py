"""A new release knows a currency no more: orders priced in it go on over HTTP, and only new ones are refused."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta

import httpx

from command_api.timer.expirer import Outcome
from infra import clock
from infra.event_store.memory import MemoryEventStore
from tests.support.event_store.past_writer import expirer
from tests.support.orders.batches import batch, item, results, told
from tests.support.orders.builders import order_body
from tests.support.orders.currencies import withdrawn
from tests.support.services.command_service import BATCH, ORDERS, Json, Service, memory_service, postgres_service
from tests.support.services.projecting import caught_up, differences, store_worker
from tests.support.services.servers import Database

LINES = [{"sku": "LANTERN-1", "quantity": 3, "unit_price": "20"}, {"sku": "HANGER", "quantity": 1, "unit_price": "5"}]
PAYOUT: Json = {"gross": "40", "fee": "1", "net": "39", "value_date": "2026-11-25"}
SET_PRICE: Json = {"changes": [{"op": "set_price", "line_id": 2, "unit_price": "7"}]}
TAKE_LINE: Json = {"lines": [{"line_id": 1, "quantity": 1}], "final": False}
Step = tuple[str, str, Json]
LIFE: Sequence[Step] = (
    ("POST", "amendments", SET_PRICE),
    ("PATCH", "", {"metadata": {"changed": "yes"}}),
    ("POST", "notes", {"note": "call first"}),
    ("PATCH", "status", {"status": "authorized"}),
    ("POST", "captures", {"amount": "100000"}),
    ("POST", "captures", {"amount": "20", "final": False}),
    ("POST", "captures", TAKE_LINE),
    ("POST", "void", {}),
    ("POST", "refunds", {"amount": "5"}),
    ("POST", "settlements", PAYOUT),
)
"""Other lives, and any life, are lived by tests/domain/order/test_withdrawn_currency.py."""


async def create(service: Service, code: str) -> httpx.Response:
    return await service.post(body=order_body(currency=code, lines=LINES), key="create")


async def go_on(service: Service, order_id: str, steps: Sequence[Step]) -> list[Json]:
    """Take the steps; give what was answered, without ids and times."""
    told: list[Json] = []
    for method, path, body in steps:
        version = {"If_Match": f'"{len(told) + 1}"'} if path in {"", "amendments"} else {}
        answer = await service.send(method, f"{ORDERS}/{order_id}/{path}".rstrip("/"), body, **version)
        kept = {name: value for name, value in answer.json().items() if not name.endswith(("_at", "id", "instance"))}
        told.append({"status_code": answer.status_code} | kept)
    return told


async def test_an_order_in_a_withdrawn_currency_lives_on_over_http() -> None:
    lives: list[list[Json]] = []
    for later in (nullcontext(), withdrawn("KWD")):
        store = MemoryEventStore()
        async with memory_service(store) as before:
            created = await create(before, "KWD")
        with later:
            async with memory_service(store) as after:
                lives.append(await go_on(after, created.json()["id"], LIFE))

    assert lives[1] == lives[0]
    assert [step["code"] for step in lives[1] if step["status_code"] != 200] == ["amount_exceeds_capturable"]


async def test_a_new_order_in_a_withdrawn_currency_is_refused_and_its_key_stays_free(service: Service) -> None:
    with withdrawn("SEK"):
        alone = await create(service, "SEK")
        together = await service.post(BATCH, batch(item("create", currency="SEK"), item("other", currency="NOK")))
        free = await service.post(body=order_body(currency="NOK"), key="create")

    for problem, pointer in ((alone.json(), "/currency"), (results(together)[0]["body"], "/orders/0/order/currency")):
        assert (problem["status"], problem["code"]) == (422, "validation_failed")
        assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [(pointer, "currency_unknown")]
    assert told(together)[1] == (201, None)
    assert free.status_code == 201


async def test_a_repeated_create_gets_its_first_response_although_the_currency_is_withdrawn(
    service: Service,
) -> None:
    created = await create(service, "SEK")
    same = order_body(currency="SEK", lines=LINES)

    with withdrawn("SEK"):
        again = await create(service, "SEK")
        [together] = results(await service.post(BATCH, batch({"idempotency_key": "create", "order": same})))
        other = await service.post(body=same | {"lines": LINES[:1]}, key="create")

    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (201, created.content, "true")
    assert (together["status"], together["replayed"], together["body"]) == (201, True, created.json())
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_mismatch")
    assert await service.store.head() == 1


async def test_an_order_in_a_withdrawn_currency_expires_and_is_projected(database: Database) -> None:
    async with postgres_service(database) as before:
        pending = (await create(before, "SEK")).json()["id"]
        taken = (await before.post(body=order_body(currency="SEK", lines=LINES))).json()["id"]
    async with store_worker(database):
        await caught_up(database)  # the states of the orders are cached in their rows

    with withdrawn("SEK"):
        async with postgres_service(database) as after:
            answers = await go_on(after, taken, [("POST", "authorize", {}), ("POST", "captures", {"amount": "20"})])
        async with expirer(database, lambda: clock.now() + timedelta(days=7)) as timer:
            turn = await timer.turn()
        async with store_worker(database):
            await caught_up(database)
        differ = await differences(database)
        rows = await database.fetch("SELECT order_id::text, status, currency FROM harbor_read.orders_v1")

    assert [answer["status_code"] for answer in answers] == [200, 200]
    assert turn.outcomes == {Outcome.DONE: 1}
    assert differ == []
    assert {tuple(row) for row in rows} == {(pending, "expired", "SEK"), (taken, "captured", "SEK")}
