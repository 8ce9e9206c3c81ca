"""One key, one command: repetitions get the first answer, other requests under the key are refused."""

import pytest

from command_api.handling.idempotency import fingerprint, parse_key
from infra.http.problems import Problem
from tests.support.orders.builders import order_body
from tests.support.requests.route_matrix import UNKNOWN_UUID
from tests.support.services.command_service import ORDERS, Service, memory_service

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

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_mismatch")
    assert again.content == first.content


async def test_the_case_of_an_id_in_the_address_does_not_matter(service: Service) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]

    first = await service.post(f"{ORDERS}/{order_id.upper()}/authorize", key="k")
    again = await service.post(f"{ORDERS}/{order_id}/authorize", key="k")

    assert (first.status_code, first.json()["id"]) == (200, order_id)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")


async def test_another_route_under_the_key_is_refused(service: Service) -> None:
    order_id = (await service.post(body=order_body())).json()["id"]
    await service.post(f"{ORDERS}/{order_id}/authorize", key="k")

    other = await service.post(f"{ORDERS}/{order_id}/cancel", key="k")

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_mismatch")
    assert await service.store.head() == 2


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
