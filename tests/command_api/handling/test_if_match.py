"""If-Match on whatever is done to an order: where it is sent it holds, and no other version is touched."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.orders.builders import order_body
from tests.support.services.command_service import ORDERS, Service

SETTLEMENT = {"gross": "1.00", "fee": "0.00", "net": "1.00", "value_date": "2026-12-01"}


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that can be done to an order, after what it takes before; `body` None: no body."""

    name: str
    before: tuple[str, ...] = ()
    body: Any = None
    method: str = "POST"


VERBS = (
    Verb("authorize"),
    Verb("cancel"),
    Verb("notes", body={"note": "call before delivery"}),
    Verb("status", body={"status": "authorized"}, method="PATCH"),
    Verb("captures", ("authorize",)),
    Verb("void", ("authorize",)),
    Verb("refunds", ("authorize", "captures")),
    Verb("settlements", ("authorize", "captures"), SETTLEMENT),
)
EDITS = (
    Verb("amendments", body={"changes": [{"op": "set_quantity", "line_id": 1, "quantity": 5}]}),
    Verb("", body={"metadata": {"a": "b"}}, method="PATCH"),
)
each_verb = pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
each_change = pytest.mark.parametrize("verb", VERBS + EDITS, ids=lambda verb: verb.name or "details")


async def an_order(service: Service, verb: Verb) -> str:
    order_id = (await service.post(body=order_body())).json()["id"]
    for before in verb.before:
        assert (await service.post(f"{ORDERS}/{order_id}/{before}")).status_code == 200
    return f"{ORDERS}/{order_id}"


def address(order: str, verb: Verb) -> str:
    return f"{order}/{verb.name}".rstrip("/")


@pytest.mark.parametrize("verb", EDITS, ids=lambda verb: verb.name or "details")
async def test_an_edit_says_which_version_was_seen(service: Service, verb: Verb) -> None:
    order = await an_order(service, verb)

    answer = await service.send(verb.method, address(order, verb), verb.body)

    assert (answer.status_code, answer.json()["code"]) == (428, "precondition_required")


@each_change
async def test_at_another_version_nothing_is_done_and_the_refusal_names_the_current_one(
    service: Service, verb: Verb
) -> None:
    order, head = await an_order(service, verb), await service.store.head()

    refused = await service.send(verb.method, address(order, verb), verb.body, key="k", If_Match='"77"')

    version = 1 + len(verb.before)
    assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    assert (refused.headers["etag"], refused.json()["current_version"]) == (f'"{version}"', version)
    assert await service.store.head() == head
    mended = await service.send(verb.method, address(order, verb), verb.body, key="k", If_Match=f'"{version}"')
    assert (mended.status_code, "idempotency-replayed" in mended.headers) == (200, False)


@each_change
async def test_a_repetition_gets_its_first_response_although_the_version_has_moved_on(
    service: Service, verb: Verb
) -> None:
    order = await an_order(service, verb)
    seen = {"If_Match": f'"{1 + len(verb.before)}"'}

    first = await service.send(verb.method, address(order, verb), verb.body, key="k", **seen)
    again = await service.send(verb.method, address(order, verb), verb.body, key="k", **seen)

    assert (again.status_code, again.content) == (200, first.content)


@each_verb
async def test_a_star_matches_any_version_and_malformed_etags_are_refused(service: Service, verb: Verb) -> None:
    order = await an_order(service, verb)

    malformed = await service.send(verb.method, address(order, verb), verb.body, If_Match="abc")
    weak = await service.send(verb.method, address(order, verb), verb.body, If_Match='W/"1"')
    any_version = await service.send(verb.method, address(order, verb), verb.body, If_Match="*")

    assert (malformed.status_code, malformed.json()["code"]) == (400, "if_match_malformed")
    assert (weak.status_code, weak.json()["code"]) == (412, "precondition_failed")
    assert any_version.status_code == 200


async def test_of_many_captures_of_one_version_one_is_done(service: Service) -> None:
    order = await an_order(service, Verb("captures", ("authorize",)))
    part = {"amount": "1.00", "final": False}

    answers = await asyncio.gather(
        *(service.post(f"{order}/captures", part, key=f"k{number}", If_Match='"2"') for number in range(20))
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    assert await service.store.head() == 3


async def test_a_new_order_has_no_version_to_match(service: Service) -> None:
    assert (await service.post(body=order_body(), If_Match='"77"')).status_code == 201
