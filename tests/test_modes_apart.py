"""Test and live mode share nothing but code: the same names mean different things, from request to record."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson
import pytest

from infra.kafka.records import to_record
from tests.support.orders.builders import order_body
from tests.support.services.command_service import Service, partner_key, postgres_service
from tests.support.services.servers import Database

ENDPOINTS = "/api/v1/webhook-endpoints"
KEYS = "/api/v1/api-keys"


@dataclass(frozen=True, slots=True)
class Modes:
    """A service, and the headers of one partner's key in each mode."""

    service: Service
    database: Database
    live: str
    test: str

    async def listed(self, path: str) -> list[list[dict[str, object]]]:
        """Return what a list holds for the key of test mode, and for that of live mode."""
        answers = [await self.service.http.get(path, headers={"authorization": key}) for key in (self.test, self.live)]
        return [answer.json()["data"] for answer in answers]


@pytest.fixture
async def modes(database: Database) -> AsyncIterator[Modes]:
    test, live = await partner_key(database), await partner_key(database, livemode=True)
    async with postgres_service(database, test) as service:
        yield Modes(service, database, f"Bearer {live}", f"Bearer {test}")


async def test_an_idempotency_key_and_a_reference_are_free_in_the_other_mode(modes: Modes) -> None:
    body = order_body(external_reference="PO-1")

    answers = [
        await modes.service.post(body=body, key="k-1", Authorization=key)
        for key in (modes.test, modes.live, modes.test)
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    ids = [answer.json()["id"] for answer in answers]
    assert (ids[0] != ids[1], ids[0] == ids[2]) == (True, True)
    assert [answer.json()["livemode"] for answer in answers] == [False, True, False]


async def test_endpoints_and_keys_of_one_mode_are_not_listed_in_the_other_nor_counted_there(modes: Modes) -> None:
    for number in range(20):
        made = await modes.service.http.post(ENDPOINTS, json={"url": f"https://hooks.example.com/{number}"})
        assert made.status_code == 201
    live = {"authorization": modes.live}

    first = await modes.service.http.post(ENDPOINTS, json={"url": "https://hooks.example.com/"}, headers=live)
    endpoints, keys = [await modes.listed(path) for path in (ENDPOINTS, KEYS)]

    assert first.status_code == 201
    assert [len(listed) for listed in endpoints] == [20, 1]
    assert [[each["livemode"] for each in listed] for listed in keys] == [[False], [True]]


async def test_a_key_makes_keys_of_its_own_mode_only(modes: Modes) -> None:
    made = await modes.service.post(KEYS, {"scopes": ["orders:read"]}, Authorization=modes.live)

    assert (made.status_code, made.json()["livemode"], made.json()["key"][:9]) == (201, True, "hbr_live_")


async def test_every_record_of_the_topic_says_its_mode_in_its_value_and_in_its_tenant(modes: Modes) -> None:
    for key in (modes.test, modes.live):
        assert (await modes.service.post(body=order_body(), Authorization=key)).status_code == 201

    records = [to_record(event, epoch=1) for event in await modes.service.store.read_all(0, 10)]

    modes_of = [(orjson.loads(record.value)["livemode"], dict(record.headers)["tenant"]) for record in records]
    assert modes_of == [(False, b"acme.test"), (True, b"acme.live")]
