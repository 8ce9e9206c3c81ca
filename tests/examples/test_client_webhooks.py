"""What `webhooks.verify` accepts and what it refuses; the official package signs."""

import base64
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import orjson
import pytest
from standardwebhooks import Webhook

from domain.catalogue.examples import examples
from domain.change import change_document
from harbor_orders_client import WebhookNotVerified, webhooks
from harbor_orders_client.documents import webhook_changes
from harbor_orders_client.webhooks import WebhookEvent

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER: Final = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
NOW_S: Final = 1_795_000_000
EVENT: Final[dict[str, object]] = {
    "id": "019a8b5c-0000-7000-8000-000000000001",
    "type": "order.created",
    "timestamp": "2026-11-23T01:02:03.123456Z",
    "api_version": "v1",
    "livemode": False,
    "sequence": 1,
    "order_id": "019a8b5c-0000-7000-8000-000000000000",
    "data": {"object": {"id": "019a8b5c-0000-7000-8000-000000000000", "object": "order", "version": 1}},
    "request_id": None,
    "added_later": True,
}
BODY: Final = orjson.dumps(EVENT)


def signed(body: bytes = BODY, secret: str = SECRET, at_s: int = NOW_S) -> dict[str, str]:
    """Return the headers of a webhook."""
    signature = Webhook(secret).sign("msg_1", datetime.fromtimestamp(at_s, UTC), body.decode())
    return {"Webhook-Id": "msg_1", "webhook-timestamp": str(at_s), "webhook-signature": signature}


def verify(body: bytes, headers: dict[str, str], secret: str | list[str] = SECRET) -> WebhookEvent:
    """Verify at a fixed time."""
    return webhooks.verify(body, headers, secret, now_s=NOW_S)


def verified(event: Mapping[str, object]) -> WebhookEvent:
    """Return what a body of these members is read as."""
    body = orjson.dumps(event)
    return verify(body, signed(body))


def test_a_signed_event_verifies_and_a_thin_one_has_no_order() -> None:
    event = verify(BODY, signed())

    assert (event.type, event.sequence, event.order, event.truncated) == ("order.created", 1, None, False)
    assert event.timestamp == datetime(2026, 11, 23, 1, 2, 3, 123456, UTC)


def test_a_change_is_read_by_its_type_and_holds_amounts_and_dates() -> None:
    amount = {"amount": "5.00", "amount_minor": 500, "currency": "EUR"}
    change = change_document(examples()["order.settlement_recorded"].recorded.event)

    settled = verified(EVENT | {"type": "order.settlement_recorded", "data": {"object": {}, "change": change}}).change
    refunded = verified(
        EVENT
        | {"type": "order.refunded", "data": {"object": {}, "change": change | {"amount": amount, "reason": None}}}
    ).change

    assert isinstance(settled, webhooks.SettlementChange)
    assert (str(settled.gross), str(settled.fee), settled.value_date) == ("64.97 EUR", "1.30 EUR", date(2026, 11, 25))
    assert isinstance(refunded, webhooks.RefundedChange)
    assert (refunded.amount.amount_minor, refunded.totals.total.amount) == (500, Decimal("64.97"))


@pytest.mark.parametrize("event_type", list(examples()))
def test_the_change_of_every_event_is_read(event_type: str) -> None:
    change = change_document(examples()[event_type].recorded.event)

    read = verified(EVENT | {"type": event_type, "data": {"object": {}, "change": change, "added_later": 1}}).change

    assert type(read) is webhook_changes.CHANGES[event_type]


@pytest.mark.parametrize(
    "event",
    [
        EVENT | {"type": "order.teleported", "data": {"object": {"object": "order"}, "change": {"to": "Mars"}}},
        EVENT | {"api_version": "v2", "data": {"object": {"object": "order", "status": 7}, "change": [1]}},
        EVENT | {"api_version": "v2", "data": {"object": {"object": "order", "status": 7}, "change": {}}},
        {**{name: EVENT[name] for name in ("id", "timestamp", "api_version", "livemode")},
         "type": "endpoint.disabled", "data": {"object": {"object": "webhook_endpoint", "status": "disabled"}}},
        EVENT | {"data": {"object": {}, "change": None}, "truncated": True},
    ],
    ids=["type", "version, in another form", "version", "not of an order", "truncated"],
)  # fmt: skip
def test_what_this_client_does_not_know_yet_verifies_without_order_and_change(event: dict[str, object]) -> None:
    found = verified(event)

    assert (found.id, found.type, found.order, found.change) == (event["id"], event["type"], None, None)


def test_while_one_secret_replaces_another_either_signature_and_either_secret_will_do() -> None:
    both = signed() | {"webhook-signature": f"v1a,x {signed(secret=OTHER)['webhook-signature']} junk "}
    assert verify(BODY, both, [SECRET, OTHER]).sequence == 1
    both["webhook-signature"] += signed()["webhook-signature"]
    assert verify(BODY, both).sequence == 1


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY + b" ", signed()),
        (BODY, signed(secret=OTHER)),
        (BODY, signed() | {"Webhook-Id": "msg_2"}),
        (BODY, signed() | {"webhook-timestamp": str(NOW_S + 1)}),
        (BODY, signed() | {"webhook-timestamp": "1e9"}),
        (BODY, signed() | {"webhook-timestamp": "\u0661"}),
        (BODY, signed() | {"webhook-signature": ""}),
        (BODY, signed() | {"webhook-signature": signed()["webhook-signature"].removeprefix("v1,")}),
        (BODY, signed() | {"webhook-signature": "v1,\u00e9"}),
        # a raw byte 0xff, as some servers decode it, and what no bytes decode to
        *((BODY, signed() | {name: f"v1,{odd}"}) for name in signed() for odd in ("\udcff", "\ud800", "\x00")),
        (BODY, {}),
        (b"[]", signed(b"[]")),
        (b"{", signed(b"{")),
    ],
)
def test_what_was_changed_or_is_not_an_event_does_not_verify(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(WebhookNotVerified):
        verify(body, headers)


@pytest.mark.parametrize("age_s", [301, -301])
def test_what_is_too_old_or_from_the_future_does_not_verify(age_s: int) -> None:
    with pytest.raises(WebhookNotVerified, match="too long ago"):
        verify(BODY, signed(at_s=NOW_S - age_s))
    assert verify(BODY, signed(at_s=NOW_S - (300 if age_s > 0 else -300))).sequence == 1


SHORT: Final = "whsec_" + base64.b64encode(b"23 bytes are too short.").decode()


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_not base64!", "whsec_AAAA", SHORT, None, SECRET.encode(), 5, [], [SECRET, SHORT]]
)
def test_a_malformed_secret_is_refused_and_not_shown(secret: Any) -> None:
    with pytest.raises(ValueError, match="whsec_ and base64 of 24 bytes or more") as refused:
        verify(BODY, signed(), secret)
    assert "AAAA" not in str(refused.value)


def test_a_body_that_was_decoded_already_is_refused_in_words() -> None:
    with pytest.raises(TypeError, match="the bytes as they arrived, not str"):
        verify(BODY.decode(), signed())  # type: ignore[arg-type]  # what a caller without types does


def test_a_fraction_that_is_added_one_day_arrives_with_every_digit_and_no_float() -> None:
    rate = b"0.1000000000000000055511151231257827"
    body = BODY.replace(b'"version":1', b'"version":1,"rate":' + rate)

    order = verify(body, signed(body)).data["object"]

    assert isinstance(order["rate"], Decimal)
    assert str(order["rate"]) == rate.decode()


def test_a_number_out_of_range_does_not_verify() -> None:
    body = BODY.replace(b'"version":1', b'"version":1e99999999999999999999')

    with pytest.raises(WebhookNotVerified):
        verify(body, signed(body))
