"""A request to the wrong service says which service to ask."""

import httpx
import pytest

from tests.support.services.command_service import ORDERS, memory_service
from tests.support.services.query_service import query_service
from tests.support.services.servers import Database

ORDER = f"{ORDERS}/019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10"
ALLOWED = "The Allow header lists the methods of this address."


@pytest.mark.parametrize("path", [ORDERS, ORDER])
async def test_a_read_at_the_command_service(path: str) -> None:
    async with memory_service() as service:
        read = await service.send("GET", path)
        put = await service.send("PUT", path)

    assert detail_of(read) == f"{ALLOWED} The query service takes reads."
    assert detail_of(put) == ALLOWED


@pytest.mark.parametrize(("method", "path"), [("POST", ORDERS), ("PATCH", ORDER)])
async def test_a_change_at_the_query_service(database: Database, method: str, path: str) -> None:
    async with query_service(database) as service:
        answer = await service.http.request(method, path)

    assert detail_of(answer) == f"{ALLOWED} The command service takes changes."


def detail_of(answer: httpx.Response) -> str:
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    return str(answer.json()["detail"])
