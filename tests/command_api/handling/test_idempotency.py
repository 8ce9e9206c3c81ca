"""One key, one command: repetitions get the first answer, other requests under the key are refused."""

import pytest
from fastapi.routing import APIRoute

from command_api.handling.idempotency import fingerprint, parse_key
from command_api.handling.key_mismatch import CHANGES
from command_api.orders.routes import router
from domain.instants import instant_text
from infra.http.problems import Problem
from tests.support.orders.builders import order_body
from tests.support.requests.route_matrix import UNKNOWN_UUID
from tests.support.services.command_service import ORDERS, Json, Service, memory_service

LINE: Json = {"sku": "LANTERN-1", "quantity": 1, "unit_price": "10"}
VOLATILE = {"x-request-id", "idempotency-replayed"}


async def test_a_repetition_gets_the_same_bytes_and_headers_and_makes_nothing(service: Service) -> None:
    first = await service.post(body=order_body(), key="k")

    again = await service.post(body=order_body(), key="k")

    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert [item for item in again.headers.items() if item[0] not in VOLATILE] == [
        item for item in first.headers.items() if item[0] not in VOLATILE
    ]
    assert await service.store.head() == 1


@pytest.mark.parametrize("path", [ORDERS, f"{ORDERS}/{UNKNOWN_UUID}/authorize", "/api/v1/api-keys"])
async def test_the_key_is_checked_before_the_body(service: Service, path: str) -> None:
    for headers, code in (({}, "idempotency_key_required"), ({"idempotency-key": "a b"}, "idempotency_key_invalid")):
        answer = await service.http.post(path, content=b"{", headers={"content-type": "application/json", **headers})
        assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_spacing_key_order_and_quotes_around_the_key_do_not_matter(service: Service) -> None:
    first = await service.post(body=order_body(), key="k")
    reordered = dict(reversed(order_body().items()))

    again = await service.post(body=reordered, key='"k"')

    assert again.content == first.content


async def test_another_body_under_the_key_is_refused_and_the_first_response_stays(service: Service) -> None:
    first = await service.post(body=order_body(), key="k")

    other = await service.post(body=order_body(currency="USD"), key="k")
    again = await service.post(body=order_body(), key="k")

    [event] = await service.store.read_all(0, 1)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_mismatch")
    assert other.json()["first_used_at"] == instant_text(event.recorded_at)
    assert (other.json()["differs"], other.json()["existing_order_id"]) == (["body"], first.json()["id"])
    assert again.content == first.content


async def test_the_case_of_an_id_in_the_address_does_not_matter(service: Service) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]

    first = await service.post(f"{ORDERS}/{order_id.upper()}/authorize", key="k")
    again = await service.post(f"{ORDERS}/{order_id}/authorize", key="k")

    assert (first.status_code, first.json()["id"]) == (200, order_id)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")


@pytest.mark.parametrize(
    "spelling", [{"metadata": {}}, {"external_reference": None}, {"lines": [LINE | {"unit_price": "10.00"}]}]
)
async def test_another_spelling_of_the_same_order_is_another_body(service: Service, spelling: Json) -> None:
    body = order_body(lines=[LINE])
    await service.post(body=body, key="k")

    other = await service.post(body=body | spelling, key="k")

    assert (other.status_code, other.json()["code"], other.json()["differs"]) == (
        422,
        "idempotency_key_mismatch",
        ["body"],
    )


VERB: Json = {"reason": "by phone"}
OTHER_USES: list[tuple[str, Json, str, Json, list[str]]] = [
    ("authorize", VERB, "cancel", VERB, ["path"]),
    ("cancel", VERB, "other/cancel", VERB, ["path"]),
    ("cancel", VERB, "other/cancel", {}, ["path", "body"]),
    ("authorize", {}, "authorize", VERB, ["body"]),
    ("", order_body(), "authorize", {}, ["path", "body"]),
    ("authorize", {}, "", order_body(), ["path", "body"]),
]


@pytest.mark.parametrize(("first", "body", "then", "other_body", "differs"), OTHER_USES)
async def test_another_use_of_a_key_is_refused_and_says_in_what_it_differs(
    service: Service, first: str, body: Json, then: str, other_body: Json, differs: list[str]
) -> None:
    one, two = [(await service.post(body=order_body())).json()["id"] for _ in range(2)]

    def address(verb: str) -> str:
        order_id = two if verb.startswith("other/") else one
        return f"{ORDERS}/{order_id}/{verb.removeprefix('other/')}" if verb else ORDERS

    done = await service.post(address(first), body, key="k")
    refused = await service.post(address(then), other_body, key="k")

    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_mismatch")
    assert (refused.json()["differs"], refused.json()["existing_order_id"]) == (differs, done.json()["id"])
    assert await service.store.head() == 3


async def test_a_key_of_a_refused_create_names_no_order(service: Service) -> None:
    taken = order_body(external_reference="PO-1")
    await service.post(body=taken)
    await service.post(body=taken, key="k")

    other = await service.post(body=order_body(), key="k")

    assert (other.json()["code"], other.json()["differs"]) == ("idempotency_key_mismatch", ["body"])
    assert "existing_order_id" not in other.json()


def test_every_route_that_changes_an_order_is_tried_for_the_same_body() -> None:
    changes = {
        (method, route.path.removeprefix(f"{ORDERS}/{{order_id}}"))
        for route in router.routes
        if isinstance(route, APIRoute) and route.path != ORDERS
        for method in route.methods or ()
    }
    assert set(CHANGES) == changes


async def test_an_empty_body_and_an_empty_object_are_the_same_request(service: Service) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]
    first = await service.post(f"{ORDERS}/{order_id}/authorize", key="k")

    again = await service.post(f"{ORDERS}/{order_id}/authorize", {}, key="k")

    assert again.content == first.content


async def test_a_verb_repeated_after_the_order_moved_on_gets_its_first_response(service: Service) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]
    first = await service.post(f"{ORDERS}/{order_id}/authorize", key="k")
    await service.post(f"{ORDERS}/{order_id}/captures")

    again = await service.post(f"{ORDERS}/{order_id}/authorize", key="k")

    assert (again.status_code, again.content, again.headers["etag"]) == (200, first.content, '"2"')


async def test_a_final_refusal_is_recorded_and_stays_although_the_order_would_allow_it_now(service: Service) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]
    first = await service.post(f"{ORDERS}/{order_id}/captures", key="k")
    await service.post(f"{ORDERS}/{order_id}/authorize")

    again = await service.post(f"{ORDERS}/{order_id}/captures", key="k")

    assert first.json()["code"] == "not_authorized"
    assert (again.status_code, again.content) == (409, first.content)
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotency-replayed"] == "true"


async def test_what_was_not_recorded_is_not_remembered_either() -> None:
    async with memory_service() as service:
        missing = f"{ORDERS}/019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10/authorize"
        order_id = (await service.post(body=order_body())).json()["id"]
        edit = {"changes": [{"op": "set_quantity", "line_id": 1, "quantity": 5}]}

        statuses = [
            (await service.post(missing, key="k")).status_code,
            (await service.post(f"{ORDERS}/{order_id}/amendments", edit, key="k", If_Match='"7"')).status_code,
            (await service.post(f"{ORDERS}/{order_id}/authorize", key="k")).status_code,
        ]

    assert statuses == [404, 412, 200]


@pytest.mark.parametrize(("header", "key"), [("a", "a"), ('"a"', "a"), ("~!#$", "~!#$"), ("k" * 255, "k" * 255)])
def test_a_key_is_visible_ascii_bare_or_quoted(header: str, key: str) -> None:
    assert parse_key(header) == key


@pytest.mark.parametrize("header", ["", '""', '"', 'a"', '"a', 'a"b', "a b", "a\tb", "a\x7f", "\u00e9", "k" * 256])
def test_anything_else_is_not_a_key(header: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_key(header)

    assert refused.value.kind.code == "idempotency_key_invalid"


def test_fingerprints_differ_by_method_path_and_body() -> None:
    requests = [
        ("POST", "/a", b"{}"),
        ("PATCH", "/a", b"{}"),
        ("POST", "/b", b"{}"),
        ("POST", "/a", b"{ }"),
        ("POST", "/a {}", b""),
        ("POST", "/a ", b"{}"),
    ]

    assert len({fingerprint(*request) for request in requests}) == len(requests)
    assert all(len(fingerprint(*request)) == 32 for request in requests)
