"""Test and live mode share nothing but code: keys make keys of their own mode, and every record says its mode.

That nothing of the other mode is found or listed is proven for every route by tests/test_route_isolation.py, that
idempotency keys and references are per mode by the cases that every event store must pass.
"""

from collections.abc import AsyncIterator

import orjson
import pytest

from infra.kafka.records import to_record
from tests.support.orders.builders import order_body
from tests.support.services.command_service import Service, partner_key, postgres_service
from tests.support.services.servers import Database


@pytest.fixture
async def service(database: Database) -> AsyncIterator[Service]:
    async with postgres_service(database) as running:
        yield running


async def test_a_key_makes_keys_of_its_own_mode_only(service: Service, database: Database) -> None:
    live = await partner_key(database, livemode=True)

    made = await service.post("/api/v1/api-keys", {"scopes": ["orders:read"]}, Authorization=f"Bearer {live}")

    assert (made.status_code, made.json()["livemode"], made.json()["key"][:9]) == (201, True, "hbr_live_")


async def test_every_record_of_the_topic_says_its_mode_in_its_value_and_in_its_tenant(
    service: Service, database: Database
) -> None:
    for livemode in (False, True):
        key = await partner_key(database, livemode=livemode)
        assert (await service.post(body=order_body(), Authorization=f"Bearer {key}")).status_code == 201

    records = [to_record(event, epoch=1) for event in await service.store.read_all(0, 10)]

    modes = [(orjson.loads(record.value)["livemode"], dict(record.headers)["tenant"]) for record in records]
    assert modes == [(False, b"acme.test"), (True, b"acme.live")]
