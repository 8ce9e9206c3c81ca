"""The command service over PostgreSQL: the same rules, and what only a real server can do to it."""

from collections.abc import AsyncIterator

import pytest

from tests.support.orders.builders import order_body
from tests.support.services.command_service import ORDERS, Service, partner_key, postgres_service
from tests.support.services.servers import Database, PostgresCluster
from tests.support.waiting import eventually


@pytest.fixture
async def service(database: Database) -> AsyncIterator[Service]:
    async with postgres_service(database) as running:
        yield running


CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'harbor-command%'"


async def test_another_process_repeats_the_first_response_byte_for_byte(database: Database) -> None:
    key = await partner_key(database)
    async with postgres_service(database, key) as first:
        created = await first.post(body=order_body(), key="create")
        refused = await first.post(f"{ORDERS}/{created.json()['id']}/captures", key="capture")
    async with postgres_service(database, key) as second:
        answers = [await second.post(body=order_body(), key="create") for _ in range(2)]
        captures = [await second.post(f"{ORDERS}/{created.json()['id']}/captures", key="capture") for _ in range(2)]

    for answer in answers:
        assert (answer.status_code, answer.content) == (201, created.content)
        assert answer.headers["consistency-token"] == created.headers["consistency-token"]
        assert answer.headers["idempotency-replayed"] == "true"
    assert [(answer.status_code, answer.content) for answer in captures] == [(409, refused.content)] * 2


@pytest.mark.parametrize("setting", ["synchronous_commit = off", "default_transaction_isolation = serializable"])
async def test_while_database_settings_are_dangerous_the_service_responds_503_and_recovers(
    service: Service, database: Database, setting: str
) -> None:
    role = f"ALTER ROLE harbor_command_login IN DATABASE {database.name}"
    await database.fetch(f"{role} SET {setting}")
    await database.fetch(CUT)

    async def is_refused() -> bool:
        ready = await service.http.get("/readyz")
        return (ready.status_code, ready.json().get("waiting_for")) == (503, ["database_settings_dangerous"])

    await eventually(is_refused)
    refused = await service.post(body=order_body(), key="k")
    resent = await service.post("/api/v1/webhook-endpoints", {"url": "https://hooks.example.com/"})
    await database.fetch(f"{role} RESET ALL")

    async def is_accepted() -> bool:
        return (await service.post(body=order_body(), key="k")).status_code == 201

    await eventually(is_accepted)

    assert (refused.status_code, refused.json()["retryable"]) == (503, True)
    assert resent.status_code == 503
    assert await service.store.head() == 1


async def test_an_append_that_is_not_allowed_is_our_fault_and_not_the_callers(
    service: Service, database: Database
) -> None:
    await database.fetch("REVOKE EXECUTE ON FUNCTION harbor.append_batch FROM harbor_command")

    refused = await service.post(body=order_body(), key="k")
    ready = await service.http.get("/readyz")
    await database.fetch("GRANT EXECUTE ON FUNCTION harbor.append_batch TO harbor_command")

    async def is_ready() -> bool:
        return (await service.http.get("/readyz")).status_code == 200

    await eventually(is_ready)  # nobody is sent to a service that is not
    accepted = await service.post(body=order_body(), key="k")

    assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
    assert (ready.status_code, ready.json()["waiting_for"]) == (503, ["append_interrupted"])
    assert accepted.status_code == 201


async def test_a_service_that_cannot_make_the_next_partitions_says_so_before_they_are_needed(
    database: Database,
) -> None:
    await database.fetch("INSERT INTO harbor.batches VALUES (0, 9500000, 9500000, 1, now())")
    await database.fetch("DROP TABLE harbor.events_000001, harbor.events_000002")
    await database.fetch("REVOKE EXECUTE ON FUNCTION harbor.maintain_partitions FROM harbor_command")

    async with postgres_service(database) as service:

        async def is_told() -> bool:
            ready = await service.http.get("/readyz")
            return (ready.status_code, ready.json().get("waiting_for")) == (503, ["partitions_short"])

        await eventually(is_told)
        accepted = await service.post(body=order_body(), key="k")

    assert accepted.status_code == 201


async def test_the_service_is_ready_and_its_metrics_show_commands_and_appends(service: Service) -> None:
    await service.post(body=order_body(), key="k")
    await service.post(body=order_body(), key="k")

    ready = await service.http.get("/readyz")
    metrics = (await service.http.get("/metrics")).text

    assert (ready.status_code, ready.json()["waiting_for"]) == (200, [])
    assert 'harbor_commands_total{outcome="done",type="create"} 1.0' in metrics
    assert 'harbor_commands_total{outcome="replayed",type="create"} 1.0' in metrics
    assert "harbor_append_seconds" in metrics
    assert 'harbor_http_requests_total{method="POST",route="/api/v1/orders",status="201"} 2.0' in metrics


@pytest.mark.parametrize(
    ("away", "back", "reason"),
    [
        ("ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true", "database_unreachable"),
        ("CONNECTION LIMIT 0", "CONNECTION LIMIT -1", "connections_exhausted"),
    ],
)
async def test_while_postgresql_is_away_the_service_lives_responds_503_and_gets_ready_by_itself(
    database: Database, postgres_cluster: PostgresCluster, away: str, back: str, reason: str
) -> None:
    key = await partner_key(database)
    await postgres_cluster.execute(f"ALTER DATABASE {database.name} WITH {away}")
    async with postgres_service(database, key) as service:
        alive = await service.http.get("/livez")
        waiting = await service.http.get("/readyz")
        refused = await service.post(body=order_body())
        await postgres_cluster.execute(f"ALTER DATABASE {database.name} WITH {back}")

        async def ready() -> bool:
            return (await service.http.get("/readyz")).status_code == 200

        await eventually(ready)
        accepted = await service.post(body=order_body())

    assert alive.status_code == 200
    assert (waiting.status_code, waiting.json()["waiting_for"]) == (503, [reason])
    assert (refused.status_code, refused.json()["retryable"]) == (503, True)
    assert refused.headers["retry-after"]
    assert accepted.status_code == 201
