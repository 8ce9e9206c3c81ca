"""Requests on an order that must be refused whatever the order is: for their shape, before any order is looked at."""

from typing import Final

import orjson

from tests.support.requests.refused_requests import JSON, KEY, ORDERS, Refused

_ORDER: Final = f"{ORDERS}/019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10"
_EDIT: Final = KEY | JSON | {"if-match": '"1"'}
_ADD: Final[dict[str, object]] = {"op": "add", "sku": "a", "quantity": 1, "unit_price": "1.00"}
_LINE: Final = {"line_id": 1, "quantity": 1}
_PAYOUT: Final[dict[str, object]] = {"gross": "10.00", "fee": "1.00", "net": "9.00", "value_date": "2026-11-25"}


def _edit(path: str, pointer: str, field_code: str, body: object, method: str = "POST") -> Refused:
    sent = orjson.dumps(body)
    return Refused(422, "validation_failed", sent, method, f"{_ORDER}{path}", _EDIT, field_code, pointer)


def _amendment(pointer: str, field_code: str, *changes: object, **others: object) -> Refused:
    return _edit("/amendments", pointer, field_code, {"changes": list(changes)} | others)


def _details(pointer: str, field_code: str, **body: object) -> Refused:
    return _edit("", pointer, field_code, body, "PATCH")


def _verb(path: str, pointer: str, field_code: str, **body: object) -> Refused:
    return _edit(f"/{path}", pointer, field_code, body)


def _payout(pointer: str, field_code: str, **changes: object) -> Refused:
    return _verb("settlements", pointer, field_code, **(_PAYOUT | changes))


def _if_match(status: int, code: str, text: str | None) -> Refused:
    sent = KEY | JSON | ({} if text is None else {"if-match": text})
    return Refused(status, code, b"{}", "PATCH", _ORDER, sent)


_NO_ORDER: Final = (404, "not_found")
_MALFORMED: Final = (400, "if_match_malformed")
REFUSED_CHANGES: Final = {
    "amendment: no changes": _amendment("/changes", "changes_required"),
    "amendment: 1,001 changes": _amendment("/changes", "too_many_changes", *[_ADD] * 1001),
    "amendment: 30,000 empty changes": _amendment("/changes", "too_many_changes", *[{}] * 30_000),
    "amendment: without changes": _verb("amendments", "/changes", "required"),
    "amendment: a change without op": _amendment("/changes/0/op", "required", {"line_id": 1}),
    "amendment: an unknown op": _amendment("/changes/0/op", "op_unknown", {"op": "explode"}),
    "amendment: an op that is a number": _amendment("/changes/0/op", "op_unknown", {"op": 1}),
    "amendment: a change that is a text": _amendment("/changes/0", "wrong_type", "add"),
    "amendment: an unknown member": _amendment(
        "/changes/1/sku", "unknown_field", _ADD, {"op": "remove", "line_id": 1, "sku": "a"}
    ),
    "amendment: a missing member": _amendment("/changes/0/quantity", "required", {"op": "set_quantity", "line_id": 1}),
    "amendment: a numeric price": _amendment("/changes/0/unit_price", "money_must_be_string", _ADD | {"unit_price": 1}),
    "amendment: a line id as a text": _amendment("/changes/0/line_id", "wrong_type", {"op": "remove", "line_id": "1"}),
    "amendment: a reason as a number": _amendment("/reason", "wrong_type", _ADD, reason=1),
    "amendment: without a body": Refused(400, "body_empty", path=f"{_ORDER}/amendments", headers=_EDIT),
    "details: an unknown field": _details("/currency", "unknown_field", currency="USD"),
    "details: a null address": _details("/customer_email", "wrong_type", customer_email=None),
    "details: a null reference": _details("/external_reference", "wrong_type", external_reference=None),
    "details: null metadata": _details("/metadata", "wrong_type", metadata=None),
    "details: metadata with a number": _details("/metadata/a", "wrong_type", metadata={"a": 1}),
    "details: no If-Match": _if_match(428, "precondition_required", None),
    "details: a weak If-Match": _if_match(*_NO_ORDER, 'W/"1"'),
    "details: any version": _if_match(*_NO_ORDER, "*"),
    "details: a list of versions": _if_match(*_NO_ORDER, '"1", "2"'),
    "details: an If-Match of another service": _if_match(*_NO_ORDER, '"v1"'),
    "details: a version of 2^70": _if_match(*_NO_ORDER, '"1180591620717411303424"'),
    "details: an If-Match without quotes": _if_match(*_MALFORMED, "1"),
    "details: an If-Match with one quote": _if_match(*_MALFORMED, '"1'),
    "details: a list with a version without quotes": _if_match(*_MALFORMED, '"1", 2'),
    "details: an empty If-Match": _if_match(*_MALFORMED, ""),
    "note: without a text": _verb("notes", "/note", "required"),
    "note: a list": _edit("/notes", "", "wrong_type", []),
    "note: for nobody": _verb("notes", "/visibility", "visibility_unknown", note="a", visibility="secret"),
    "capture: an amount and lines": _verb("captures", "", "amount_or_lines", amount="1.00", lines=[_LINE]),
    "capture: an amount as a number": _verb("captures", "/amount", "money_must_be_string", amount=1),
    "capture: an amount of null": _verb("captures", "/amount", "money_must_be_string", amount=None, final=False),
    "capture: null for lines": _verb("captures", "/lines", "wrong_type", lines=None),
    "capture: no lines": _verb("captures", "/lines", "lines_required", lines=[]),
    "capture: 1,001 lines": _verb("captures", "/lines", "too_many_lines", lines=[{}] * 1001),
    "capture: a line without a quantity": _verb("captures", "/lines/0/quantity", "required", lines=[{"line_id": 1}]),
    "capture: final as a text": _verb("captures", "/final", "wrong_type", final="false"),
    "void: an amount": _verb("void", "/amount", "unknown_field", amount="1.00"),
    "refund: an amount as a float": _verb("refunds", "/amount", "money_must_be_string", amount=1.5),
    "refund: an amount of null": _verb("refunds", "/amount", "money_must_be_string", amount=None),
    "refund: a reason as a list": _verb("refunds", "/reason", "wrong_type", reason=[]),
    "settlement: without a day": _verb("settlements", "/value_date", "required", gross="1", fee="0", net="1"),
    "settlement: a fee as a number": _payout("/fee", "money_must_be_string", fee=1),
    "settlement: without a body": Refused(400, "body_empty", path=f"{_ORDER}/settlements"),
}
"""By a name that says what is wrong; none of these idempotency keys is recorded."""
