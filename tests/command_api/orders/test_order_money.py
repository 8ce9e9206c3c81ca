"""Captures in parts, voids, refunds, settlements: from request to answer, and what is refused how."""

import asyncio

import pytest

from tests.support.orders.builders import order_body
from tests.support.services.command_service import ORDERS, Json, Service

PAYOUT: Json = {"gross": "64.97", "fee": "1.30", "net": "63.67", "value_date": "2026-11-25", "batch": "B-1"}


async def authorized(service: Service, *steps: tuple[str, Json]) -> str:
    """Return the address of an order that was authorized and then driven by `steps`."""
    order = f"{ORDERS}/{(await service.post(body=order_body())).json()['id']}"
    for path, body in (("authorize", {}), *steps):
        answer = await service.post(f"{order}/{path}", body)
        assert answer.status_code == 200, answer.text
    return order


async def types(service: Service) -> list[str]:
    return [event.type.removeprefix("order.") for event in await service.store.read_all(0, 100)]


async def test_an_order_is_captured_in_two_parts_refunded_and_settled(service: Service) -> None:
    order = await authorized(service)

    answers = [
        await service.post(f"{order}/captures", {"amount": "40.00", "final": False}),
        await service.post(f"{order}/captures", {"amount": "20.00"}),
        await service.post(f"{order}/refunds", {"amount": "5.00", "reason": "broken"}),
        await service.post(f"{order}/settlements", PAYOUT | {"gross": "60.00", "fee": "1.20", "net": "58.80"}),
    ]

    assert [(answer.json()["status"], answer.headers["etag"]) for answer in answers] == [
        ("partially_captured", '"3"'),
        ("captured", '"5"'),
        ("captured", '"6"'),
        ("settled", '"8"'),
    ]
    settled = answers[-1].json()
    assert [settled[name]["amount"] for name in ("captured", "released", "refunded", "settled", "refundable")] == [
        "60.00",
        "4.97",
        "5.00",
        "60.00",
        "55.00",
    ]
    assert (settled["refund_status"], settled["settlement_status"]) == ("partial", "full")
    assert await types(service) == [
        "created",
        "authorized",
        "captured",
        "captured",
        "authorization_released",
        "refunded",
        "settlement_recorded",
        "settled",
    ]


async def test_a_null_for_a_text_is_no_text(service: Service) -> None:
    order = f"{ORDERS}/{(await service.post(body=order_body(external_reference=None))).json()['id']}"

    answers = [
        await service.post(f"{order}/authorize", {"reason": None}),
        await service.post(f"{order}/captures", {"amount": "64.97", "reason": None}),
        await service.post(f"{order}/settlements", PAYOUT | {"batch": None, "reason": None}),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200]


async def test_a_capture_by_lines_takes_their_price(service: Service) -> None:
    order = await authorized(service)

    answer = await service.post(f"{order}/captures", {"lines": [{"line_id": 1, "quantity": 2}], "final": False})
    again = await service.post(f"{order}/captures", {"lines": [{"line_id": 1, "quantity": 2}]})

    assert (answer.json()["captured"]["amount"], answer.json()["capturable"]["amount"]) == ("39.98", "24.99")
    assert (again.status_code, again.json()["errors"][0]["code"]) == (422, "quantity_exceeds_line")


async def test_a_void_before_any_capture_cancels_and_after_one_releases_the_rest(service: Service) -> None:
    before = await authorized(service)
    after = await authorized(service, ("captures", {"amount": "10.00", "final": False}))

    canceled = await service.post(f"{before}/void", {"reason": "sold out"})
    captured = await service.post(f"{after}/void")

    assert (canceled.json()["status"], canceled.json()["cancel_reason"]) == ("canceled", "sold out")
    assert (captured.json()["status"], captured.json()["released"]["amount"]) == ("captured", "54.97")


async def test_setting_the_status_does_what_leads_to_it(service: Service) -> None:
    order = f"{ORDERS}/{(await service.post(body=order_body())).json()['id']}"

    for status in ("authorized", "captured", "settled"):
        answer = await service.send("PATCH", f"{order}/status", {"status": status})
    same = await service.send("PATCH", f"{order}/status", {"status": "settled"})

    assert (answer.json()["status"], answer.json()["settled"]["amount"]) == ("settled", "64.97")
    assert (same.status_code, same.json()["version"], await service.store.head()) == (200, 5, 5)


PART: tuple[str, Json] = ("captures", {"amount": "10.00", "final": False})
REFUSED_AMOUNTS: list[tuple[list[tuple[str, Json]], str, Json, str, str, str]] = [
    ([PART], "captures", {"amount": "0"}, "amount_zero", "0.00", "54.97"),
    ([PART], "captures", {"amount": "54.98"}, "amount_exceeds_capturable", "54.98", "54.97"),
    ([PART], "refunds", {"amount": "10.01"}, "amount_exceeds_refundable", "10.01", "10.00"),
    ([PART], "settlements", PAYOUT, "amount_exceeds_captured", "64.97", "10.00"),
    ([PART], "settlements", PAYOUT | {"net": "1.00"}, "settlement_mismatch", "64.97", "2.30"),
]


@pytest.mark.parametrize(("past", "path", "body", "code", "requested", "available"), REFUSED_AMOUNTS)
async def test_an_amount_that_does_not_fit_is_refused_for_good_with_what_is_left(
    service: Service, past: list[tuple[str, Json]], path: str, body: Json, code: str, requested: str, available: str
) -> None:
    order = await authorized(service, *past)

    refused = await service.post(f"{order}/{path}", body, key="k")
    again = await service.post(f"{order}/{path}", body, key="k")

    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["retryable"]) == (422, code, False)
    assert (problem["requested_amount"], problem["available_amount"]) == (requested, available)
    assert (problem["currency"], problem["current_version"]) == ("EUR", 3)
    assert (again.content, again.headers["idempotency-replayed"]) == (refused.content, "true")
    assert await service.store.head() == 3


REFUSED_VERBS: list[tuple[list[tuple[str, Json]], str, Json, str, str]] = [
    ([], "authorize", {}, "already_authorized", "see allowed_transitions"),
    ([("cancel", {})], "authorize", {}, "order_terminal", "canceled or expired"),
    ([("cancel", {})], "cancel", {}, "order_terminal", "canceled or expired"),
    ([("cancel", {})], "captures", {}, "order_terminal", "canceled or expired"),
    ([("captures", {})], "captures", {}, "already_captured", "released by the final capture"),
    ([("captures", {})], "cancel", {}, "already_captured_use_refund", "see allowed_transitions"),
    ([("captures", {})], "void", {}, "nothing_to_void", "Only what is authorized and not captured"),
    ([PART], "cancel", {}, "partially_captured_use_void", "see allowed_transitions"),
    ([], "refunds", {}, "not_captured", "Nothing was captured"),
    ([PART, ("refunds", {})], "refunds", {}, "fully_refunded", "was given back"),
    ([], "settlements", PAYOUT, "nothing_to_settle", "Only what was captured"),
    ([("captures", {}), ("settlements", PAYOUT)], "settlements", PAYOUT, "nothing_to_settle", "is settled already"),
]


@pytest.mark.parametrize(("past", "path", "body", "code", "why"), REFUSED_VERBS)
async def test_a_verb_that_the_order_does_not_allow_is_refused_with_its_code_and_the_reason(
    service: Service, past: list[tuple[str, Json]], path: str, body: Json, code: str, why: str
) -> None:
    order = await authorized(service, *past)
    version = await service.store.head()

    answer = await service.post(f"{order}/{path}", body)

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["retryable"]) == (409, code, False)
    assert why in problem["detail"]
    assert set(problem) >= {"current_status", "requested", "allowed_transitions"}
    assert problem["current_version"] == version == await service.store.head()


@pytest.mark.parametrize(
    ("path", "body", "pointer", "code"),
    [
        ("captures", {"amount": "1.999"}, "/amount", "currency_precision"),
        ("captures", {"lines": [{"line_id": 7, "quantity": 1}]}, "/lines/0/line_id", "line_unknown"),
        ("refunds", {"amount": "1", "reason": ""}, "/reason", "text_empty"),
        ("settlements", PAYOUT | {"fee": "1.3000"}, "/fee", "currency_precision"),
        ("void", {"reason": "\r"}, "/reason", "text_character"),
        ("void", {"reason": " \n\u200d"}, "/reason", "text_blank"),
        ("settlements", PAYOUT | {"value_date": "9999-12-31"}, "/value_date", "date_out_of_range"),
        ("settlements", PAYOUT | {"value_date": "2026-02-30"}, "/value_date", "date_malformed"),
    ],
)
async def test_a_value_that_breaks_a_rule_is_named_and_leaves_the_key_free(
    service: Service, path: str, body: Json, pointer: str, code: str
) -> None:
    order = await authorized(service, PART)

    refused = await service.post(f"{order}/{path}", body, key="k")
    other = await service.post(f"{order}/notes", {"note": "the same key"}, key="k")

    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
    assert [(error["pointer"], error["code"]) for error in refused.json()["errors"]] == [(pointer, code)]
    assert other.status_code == 200


async def test_a_repeated_capture_of_lines_gets_its_first_response_even_when_less_is_left(service: Service) -> None:
    order = await authorized(service)
    body = {"lines": [{"line_id": 1, "quantity": 3}], "final": False}

    first = await service.post(f"{order}/captures", body, key="k")
    again = await service.post(f"{order}/captures", body, key="k")
    others = await asyncio.gather(*(service.post(f"{order}/captures", body, key="k") for _ in range(5)))
    mismatch = await service.post(f"{order}/captures", body | {"final": True}, key="k")
    refused = await service.post(f"{order}/captures", body, key="another")

    assert {(answer.status_code, answer.content) for answer in (first, again, *others)} == {(200, first.content)}
    assert again.headers["idempotency-replayed"] == "true"
    assert (mismatch.status_code, mismatch.json()["code"]) == (422, "idempotency_key_mismatch")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "quantity_exceeds_line")
    assert await types(service) == ["created", "authorized", "captured"]
