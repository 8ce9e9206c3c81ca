"""If-Match on whatever is done to an order: where it is sent it holds, and no other version is touched."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.orders.builders import order_body
from tests.support.requests.route_matrix import UNKNOWN_UUID
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


@each_change
async def test_a_list_matches_any_of_its_members_and_a_star_any_version(service: Service, verb: Verb) -> None:
    version = 1 + len(verb.before)
    for given in ("*", f'"77", "{version}"', f'"other" , ,"{version}",'):
        order = await an_order(service, verb)

        done = await service.send(verb.method, address(order, verb), verb.body, If_Match=given)

        assert done.status_code == 200, given


@each_change
async def test_a_weak_etag_never_matches_and_the_refusal_names_the_strong_one(service: Service, verb: Verb) -> None:
    order, version = await an_order(service, verb), 1 + len(verb.before)

    for given in (f'W/"{version}"', f'W/"{version}", "other"', '"0"'):
        refused = await service.send(verb.method, address(order, verb), verb.body, If_Match=given)

        assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed"), given
        assert (refused.headers["etag"], refused.json()["current_version"]) == (f'"{version}"', version)
        assert "without W/" in refused.json()["detail"]


@each_change
async def test_what_is_no_list_of_etags_is_refused_with_the_right_form(service: Service, verb: Verb) -> None:
    order = await an_order(service, verb)

    for given in ("abc", "1", '"1', 'w/"1"', '*, "1"', '"1" "2"', ","):
        refused = await service.send(verb.method, address(order, verb), verb.body, If_Match=given)

        assert (refused.status_code, refused.json()["code"]) == (400, "if_match_malformed"), given
        assert 'with its quotes: "1"' in refused.json()["detail"]


async def test_no_condition_tells_whether_an_order_of_somebody_else_exists(service: Service) -> None:
    for given in ("*", '"1"', 'W/"1"'):
        answer = await service.post(f"{ORDERS}/{UNKNOWN_UUID}/authorize", If_Match=given)

        assert (answer.status_code, "current_version" in answer.json()) == (404, False), given


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
