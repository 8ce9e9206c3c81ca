"""What a refusal tells a person to do next, beside the code it has for programs."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from command_api.api_keys.bodies import NewApiKeyBody, wanted_key
from command_api.handling.bodies import parse_body
from command_api.orders.bodies import AuthorizeBody, CreateOrderBody
from command_api.orders.change_bodies import AmendmentBody
from command_api.orders.money_bodies import CaptureBody
from domain.order.status import Status
from infra import clock
from infra.http.problems import MAX_ERRORS, MAX_PROBLEM_BYTES, Problem, render
from infra.http.validation import RequestBody
from infra.security.api_keys import INSTALLATION_SCOPES, PARTNER_SCOPES, KeyRecord
from tests.support.orders.batches import batch, item
from tests.support.orders.builders import order_body
from tests.support.services.command_service import BATCH, ORDERS, memory_service

LINE = {"sku": "a", "quantity": 1, "unit_price": "1.00"}
UNKNOWN: list[tuple[type[RequestBody], dict[str, Any], str, str]] = [
    (
        CreateOrderBody,
        order_body(colour="red"),
        "/colour",
        "customer_email, currency, lines, external_reference, metadata",
    ),
    (CreateOrderBody, order_body(lines=[LINE, LINE | {"colour": 1}]), "/lines/1/colour", "sku, quantity, unit_price"),
    (CaptureBody, {"lines": [{"line_id": 1, "quantity": 1, "sku": 1}]}, "/lines/0/sku", "line_id, quantity"),
    (AmendmentBody, {"changes": [{"op": "remove", "line_id": 1, "x": 1}]}, "/changes/0/x", "op, line_id"),
    (AmendmentBody, {"changes": [LINE | {"op": "add", "x": 1}]}, "/changes/0/x", "op, sku, quantity, unit_price"),
    (AuthorizeBody, {"x": 1}, "/x", "reason"),
]


def refused(kind: type[RequestBody], body: dict[str, Any]) -> Problem:
    with pytest.raises(Problem) as problem:
        parse_body(kind, body)
    return problem.value


@pytest.mark.parametrize(("kind", "body", "pointer", "takes"), UNKNOWN)
def test_the_refusal_of_an_unknown_field_lists_the_known_ones(
    kind: type[RequestBody], body: dict[str, Any], pointer: str, takes: str
) -> None:
    [error] = refused(kind, body).errors

    assert (error.pointer, error.code) == (pointer, "unknown_field")
    assert error.detail.endswith(f" The object takes: {takes}.")
    assert "colour" not in error.detail


def test_many_unknown_fields_are_counted_and_the_response_is_bounded() -> None:
    plain = refused(CreateOrderBody, order_body(**{f"f{number}": 1 for number in range(200)}))
    odd = refused(CreateOrderBody, order_body(**{f"f{number}!": 1 for number in range(200)}))
    lines = refused(CreateOrderBody, order_body(lines=[LINE | {"x": 1}] * 999))

    assert (len(plain.errors), len(odd.errors), len(lines.errors)) == (200, 1, 999)
    for problem in (plain, lines):
        answer = render(problem, ORDERS, "request")
        shown = orjson.loads(answer)
        assert len(shown["errors"]) + shown["errors_omitted"] == len(problem.errors)
        assert len(answer) <= MAX_PROBLEM_BYTES


async def test_a_batch_lists_the_fields_that_it_and_its_items_take() -> None:
    async with memory_service() as service:
        envelope = await service.post(BATCH, body={"orders": [item("k")], "mode": "fast"})
        answer = await service.post(BATCH, body=batch(item("k") | {"colour": "red"}))

    assert envelope.json()["errors"][0]["detail"].endswith(" The object takes: orders.")
    [result] = answer.json()["results"]
    assert result["body"]["errors"][0]["detail"].endswith(" The object takes: idempotency_key, order.")


@pytest.mark.parametrize(
    ("currency", "of_money"),
    [
        ("JPY", {"/lines/0/unit_price": "currency_precision", "/lines/2/unit_price": "amount_zero"}),
        ("eur", {"/currency": "currency_unknown", "/lines/2/unit_price": "amount_zero"}),
        ("EUR", {"/lines/2/unit_price": "amount_zero"}),
    ],
)
async def test_errors_of_amounts_and_of_other_fields_come_in_one_response(
    currency: str, of_money: dict[str, str]
) -> None:
    lines = [
        {"sku": "a", "quantity": 1, "unit_price": "1.50"},
        {"sku": "", "quantity": 0, "unit_price": "1"},
        {"sku": "b", "quantity": 1, "unit_price": "0"},
    ]
    body = order_body(currency=currency, customer_email="nobody", lines=lines)
    async with memory_service() as service:
        alone = await service.post(body=body)
        [in_batch] = (await service.post(BATCH, body=batch({"idempotency_key": "k", "order": body}))).json()["results"]

    expected = of_money | {
        "/customer_email": "email_malformed",
        "/lines/1/sku": "text_empty",
        "/lines/1/quantity": "quantity_out_of_range",
    }
    assert alone.status_code == 422
    assert {error["pointer"]: error["code"] for error in alone.json()["errors"]} == expected
    assert {error["pointer"].removeprefix("/orders/0/order") for error in in_batch["body"]["errors"]} == set(expected)


async def test_a_response_lists_twenty_errors_at_most_and_says_how_many_more_there_are() -> None:
    lines = [LINE | {"unit_price": "1.001", "quantity": 0}] * 999
    async with memory_service() as service:
        answer = await service.post(body=order_body(customer_email="nobody", lines=lines))

    assert (answer.status_code, len(answer.json()["errors"])) == (422, MAX_ERRORS)
    assert answer.json()["errors_omitted"] == 1 + 2 * 999 - MAX_ERRORS
    assert len(answer.content) <= MAX_PROBLEM_BYTES


@pytest.mark.parametrize("is_declared", [True, False])
async def test_the_refusal_of_a_large_body_names_the_limit(*, is_declared: bool) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b" " * 1_048_577

    async with memory_service() as service:
        answer = await service.http.post(
            ORDERS,
            content=b" " * 1_048_577 if is_declared else parts(),
            headers={"content-type": "application/json", "idempotency-key": "k"},
        )

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert "1,048,576 bytes" in answer.json()["detail"]


async def test_the_refusal_of_a_missing_idempotency_key_says_how_to_repeat_a_request() -> None:
    async with memory_service() as service:
        answer = await service.http.post(ORDERS, json=order_body())

    assert answer.json()["code"] == "idempotency_key_required"
    assert "the same one when that command is sent again" in answer.json()["detail"]


async def test_the_refusal_of_an_unknown_status_lists_the_known_ones() -> None:
    async with memory_service() as service:
        order_id = (await service.post(body=order_body())).json()["id"]
        answer = await service.send("PATCH", f"{ORDERS}/{order_id}/status", {"status": "shipped"})

    [error] = answer.json()["errors"]
    assert (error["code"], error["detail"].split(" One of: ")[1]) == ("status_unknown", f"{', '.join(Status)}.")


@pytest.mark.parametrize(("partner_id", "scopes"), [("acme", PARTNER_SCOPES), (None, INSTALLATION_SCOPES)])
def test_the_refusal_of_an_unknown_scope_lists_those_that_the_key_may_grant(
    partner_id: str | None, scopes: frozenset[str]
) -> None:
    acting = KeyRecord("id", partner_id, False, scopes, b"", "", clock.now())
    with pytest.raises(Problem) as problem:
        wanted_key(NewApiKeyBody(scopes=["orders:eat"]), acting, clock.now())

    [error] = problem.value.errors
    assert error.code == "scope_unknown"
    assert error.detail.endswith(f" One of: {', '.join(sorted(scopes))}.")
