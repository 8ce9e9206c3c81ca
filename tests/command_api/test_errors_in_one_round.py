"""Everything that is wrong with a body is said in one response: shapes and values, in the order of the body."""

from typing import Any

import httpx
import pytest

from command_api.api_keys.bodies import NewApiKeyBody
from command_api.handling.bodies import parse_body
from command_api.webhook_endpoints.bodies import WebhookEndpointBody
from infra.http.problems import Problem
from infra.http.validation import RequestBody
from tests.support.orders.batches import batch, item
from tests.support.orders.builders import order_body
from tests.support.services.command_service import BATCH, ORDERS, Json, Service

UNKNOWN_ORDER = f"{ORDERS}/019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10"
Broken = list[tuple[str, str]]
BODY: Json = {
    "metadata": {"a": " ", "b": 1, "c d": 2},
    "lines": [
        {"sku": 5, "quantity": 0, "unit_price": "1.001"},
        {"quantity": "2", "sku": "", "unit_price": 1, "colour": "red"},
    ],
    "currency": "EUR",
    "customer_email": "nobody@1.2.3.4",
}
OF_BODY: Broken = [
    ("/metadata/a", "text_blank"),
    ("/metadata/b", "wrong_type"),
    ("/metadata/c d", "wrong_type"),
    ("/metadata/c d", "metadata_key"),
    ("/lines/0/sku", "wrong_type"),
    ("/lines/0/quantity", "quantity_out_of_range"),
    ("/lines/0/unit_price", "currency_precision"),
    ("/lines/1/quantity", "wrong_type"),
    ("/lines/1/sku", "text_empty"),
    ("/lines/1/unit_price", "money_must_be_string"),
    ("/lines/1/colour", "unknown_field"),
    ("/customer_email", "email_malformed"),
]


def errors_of(document: Json) -> Broken:
    assert document["code"] == "validation_failed"
    return [(error["pointer"], error["code"]) for error in document["errors"]]


def told(answer: httpx.Response) -> Broken:
    assert answer.status_code == 422
    return errors_of(answer.json())


async def test_wrong_types_do_not_hide_wrong_values_of_an_order(service: Service) -> None:
    assert told(await service.post(body=BODY)) == OF_BODY


async def test_an_order_of_a_batch_is_told_the_same(service: Service) -> None:
    answer = await service.post(BATCH, batch(item("good"), {"order": BODY, "idempotency_key": "k"}))

    refused = answer.json()["results"][1]["body"]
    assert errors_of(refused) == [(f"/orders/1/order{pointer}", code) for pointer, code in OF_BODY]


async def test_values_alone_are_listed_in_the_order_of_the_body(service: Service) -> None:
    body = {"external_reference": " ", "lines": [{"sku": "", "quantity": 1, "unit_price": "x"}], "currency": "eur"}
    expected = [
        ("/external_reference", "text_spaces"),
        ("/lines/0/sku", "text_empty"),
        ("/lines/0/unit_price", "amount_malformed"),
        ("/currency", "currency_unknown"),
        ("/customer_email", "email_malformed"),
    ]
    body |= {"customer_email": "x"}

    alone = await service.post(body=body)
    in_batch = await service.post(BATCH, batch({"idempotency_key": "k", "order": body}))

    assert told(alone) == expected
    assert errors_of(in_batch.json()["results"][0]["body"]) == [(f"/orders/0/order{at}", code) for at, code in expected]


async def test_without_its_currency_an_amount_is_refused_only_for_what_no_currency_takes(service: Service) -> None:
    prices = ["1.001", "0", "-1", "1.00001", "9" * 17]
    body = order_body(lines=[{"sku": "a", "quantity": 1, "unit_price": price} for price in prices], currency=978)

    assert told(await service.post(body=body)) == [
        ("/currency", "wrong_type"),
        ("/lines/1/unit_price", "amount_zero"),
        ("/lines/2/unit_price", "amount_malformed"),
        ("/lines/3/unit_price", "currency_precision"),
        ("/lines/4/unit_price", "amount_too_large"),
    ]


OF_VERBS: list[tuple[str, str, Json, Broken]] = [
    (
        "PATCH",
        "",
        {"customer_email": 1, "metadata": {"a b": ""}, "external_reference": " "},
        [
            ("/customer_email", "wrong_type"),
            ("/metadata/a b", "metadata_key"),
            ("/external_reference", "text_spaces"),
        ],
    ),
    (
        "POST",
        "/amendments",
        {"changes": [{"op": "add", "sku": "", "quantity": 0, "unit_price": 1}, {"op": "x"}], "reason": " "},
        [
            ("/changes/0/sku", "text_empty"),
            ("/changes/0/quantity", "quantity_out_of_range"),
            ("/changes/0/unit_price", "money_must_be_string"),
            ("/changes/1/op", "op_unknown"),
            ("/reason", "text_blank"),
        ],
    ),
    (
        "POST",
        "/notes",
        {"visibility": "secret", "note": "\u202e", "x": 1},
        [("/visibility", "visibility_unknown"), ("/note", "text_character"), ("/x", "unknown_field")],
    ),
    (
        "POST",
        "/captures",
        {"lines": [{"line_id": "1", "quantity": 1000}], "final": "no"},
        [
            ("/lines/0/line_id", "wrong_type"),
            ("/lines/0/quantity", "quantity_out_of_range"),
            ("/final", "wrong_type"),
        ],
    ),
    ("POST", "/captures", {"final": 1, "amount": "-1"}, [("/final", "wrong_type"), ("/amount", "amount_malformed")]),
    ("POST", "/captures", {"lines": None, "reason": " "}, [("/lines", "wrong_type"), ("/reason", "text_blank")]),
    (
        "POST",
        "/refunds",
        {"amount": None, "reason": " "},
        [("/amount", "money_must_be_string"), ("/reason", "text_blank")],
    ),
    ("POST", "/refunds", {"amount": "1e2", "reason": 7}, [("/amount", "amount_malformed"), ("/reason", "wrong_type")]),
    ("POST", "/void", {"reason": "\n", "amount": "1"}, [("/reason", "text_blank"), ("/amount", "unknown_field")]),
    ("POST", "/cancel", {"reason": "\n", "amount": "1"}, [("/reason", "text_blank"), ("/amount", "unknown_field")]),
    ("POST", "/authorize", {"reason": "\n", "amount": "1"}, [("/reason", "text_blank"), ("/amount", "unknown_field")]),
    ("PATCH", "/status", {"reason": " ", "status": 1}, [("/reason", "text_blank"), ("/status", "wrong_type")]),
    ("PATCH", "/status", {"status": "lost", "reason": " "}, [("/status", "status_unknown"), ("/reason", "text_blank")]),
    (
        "POST",
        "/settlements",
        {"value_date": "9999-12-31", "gross": 1, "fee": "-1", "batch": " "},
        [
            ("/value_date", "date_out_of_range"),
            ("/gross", "money_must_be_string"),
            ("/fee", "amount_malformed"),
            ("/batch", "text_spaces"),
            ("/net", "required"),
        ],
    ),
]


@pytest.mark.parametrize(("method", "verb", "body", "expected"), OF_VERBS)
async def test_a_verb_is_told_everything_that_no_order_would_take(
    service: Service, method: str, verb: str, body: Json, expected: Broken
) -> None:
    answer = await service.send(method, f"{UNKNOWN_ORDER}{verb}", body, If_Match='"1"')

    assert told(answer) == expected


OF_SETTINGS: list[tuple[type[RequestBody], dict[str, Any], Broken]] = [
    (
        WebhookEndpointBody,
        {"description": " ", "url": "https://a.example/#b", "payload": "fat", "event_types": ["order.*", 1], "x": 1},
        [
            ("/description", "text_blank"),
            ("/url", "fragment_not_allowed"),
            ("/payload", "payload_unknown"),
            ("/event_types/1", "wrong_type"),
            ("/x", "unknown_field"),
        ],
    ),
    (WebhookEndpointBody, {"url": "http://10.0.0.1:81/", "payload": 1}, [("/payload", "wrong_type")]),
    (
        NewApiKeyBody,
        {"label": 1, "expires_at": "2027-01-31", "scopes": ["orders:eat"], "partner_id": "A"},
        [
            ("/label", "wrong_type"),
            ("/expires_at", "expiry_malformed"),
            ("/scopes/0", "scope_unknown"),
            ("/partner_id", "partner_malformed"),
        ],
    ),
]


@pytest.mark.parametrize(("kind", "body", "expected"), OF_SETTINGS)
def test_so_are_webhook_endpoints_and_api_keys(kind: type[RequestBody], body: dict[str, Any], expected: Broken) -> None:
    with pytest.raises(Problem) as refused:
        parse_body(kind, body)

    assert [(error.pointer, error.code) for error in refused.value.errors] == expected


@pytest.mark.parametrize(
    ("value", "wanted"),
    [({"customer_email": 1}, "a string"), ({"lines": {}}, "an array"), ({"metadata": []}, "an object")],
)
async def test_a_value_of_another_type_is_told_which_one_to_send(service: Service, value: Json, wanted: str) -> None:
    [error] = (await service.post(body=order_body(**value))).json()["errors"]

    assert error["detail"] == f"The value is of another JSON type than the field takes: send {wanted}."


async def test_many_errors_are_read_up_to_a_bound_and_all_are_counted(service: Service) -> None:
    body = {"customer_email": "x", "currency": "EUR", "lines": [{"sku": 1, "quantity": "", "unit_price": 1}] * 1000}

    answer = await service.post(body=body)

    assert answer.status_code == 422
    assert len(answer.json()["errors"]) + answer.json()["errors_omitted"] >= 3000
