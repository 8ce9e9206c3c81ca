"""Requests on an order that must be refused whatever the order is: for their shape, before any order is looked at."""

from typing import Any, Final

import orjson

from tests.support.requests.refused_requests import JSON, KEY, ORDERS, Refused

_ORDER: Final = f"{ORDERS}/019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10"
_EDIT: Final = KEY | JSON | {"if-match": '"1"'}
_ADD: Final[dict[str, object]] = {"op": "add", "sku": "a", "quantity": 1, "unit_price": "1.00"}
_PAYOUT: Final[dict[str, object]] = {"gross": "10.00", "fee": "1.00", "net": "9.00", "value_date": "2026-11-25"}


def _edit(path: str, body: object, method: str = "POST", **expected: Any) -> Refused:
    return Refused(422, "validation_failed", orjson.dumps(body), method, f"{_ORDER}{path}", _EDIT, **expected)


def _amendment(pointer: str, field_code: str, *changes: object, **others: object) -> Refused:
    body = {"changes": list(changes)} | others
    return _edit("/amendments", body, pointer=pointer, field_code=field_code)


def _details(pointer: str, field_code: str, body: object) -> Refused:
    return _edit("", body, "PATCH", pointer=pointer, field_code=field_code)


def _verb(path: str, pointer: str, field_code: str, body: object) -> Refused:
    return Refused(
        422, "validation_failed", orjson.dumps(body), path=f"{_ORDER}/{path}", pointer=pointer, field_code=field_code
    )


def _if_match(status: int, code: str, **headers: str) -> Refused:
    return Refused(
        status,
        code,
        b"{}",
        "PATCH",
        _ORDER,
        KEY | JSON | {name.replace("_", "-"): text for name, text in headers.items()},
    )


REFUSED_CHANGES: Final = {
    "amendment: no changes": _amendment("/changes", "changes_required"),
    "amendment: 1,001 changes": _amendment("/changes", "too_many_changes", *[_ADD] * 1001),
    "amendment: 30,000 empty changes": _amendment("/changes", "too_many_changes", *[{}] * 30_000),
    "amendment: without changes": _edit("/amendments", {}, pointer="/changes", field_code="required"),
    "amendment: a change without op": _amendment("/changes/0/op", "required", {"line_id": 1}),
    "amendment: an unknown op": _amendment("/changes/0/op", "op_unknown", {"op": "explode"}),
    "amendment: an op that is a number": _amendment("/changes/0/op", "op_unknown", {"op": 1}),
    "amendment: a change that is a text": _amendment("/changes/0", "wrong_type", "add"),
    "amendment: a change with too much": _amendment(
        "/changes/1", "unknown_field", _ADD, {"op": "remove", "line_id": 1, "sku": "a"}
    ),
    "amendment: a change with too little": _amendment(
        "/changes/0/quantity", "required", {"op": "set_quantity", "line_id": 1}
    ),
    "amendment: a price as a number": _amendment(
        "/changes/0/unit_price", "money_must_be_string", _ADD | {"unit_price": 1}
    ),
    "amendment: a line id as a text": _amendment("/changes/0/line_id", "wrong_type", {"op": "remove", "line_id": "1"}),
    "amendment: a reason as a number": _amendment("/reason", "wrong_type", _ADD, reason=1),
    "amendment: without a body": Refused(400, "body_empty", path=f"{_ORDER}/amendments", headers=_EDIT),
    "details: an unknown field": _details("", "unknown_field", {"currency": "USD"}),
    "details: a null address": _details("/customer_email", "wrong_type", {"customer_email": None}),
    "details: a null reference": _details("/external_reference", "wrong_type", {"external_reference": None}),
    "details: null metadata": _details("/metadata", "wrong_type", {"metadata": None}),
    "details: metadata with a number": _details("/metadata", "wrong_type", {"metadata": {"a": 1}}),
    "details: no If-Match": _if_match(428, "precondition_required"),
    "details: a weak If-Match": _if_match(412, "precondition_failed", if_match='W/"1"'),
    "details: any version": _if_match(412, "precondition_failed", if_match="*"),
    "details: a list of versions": _if_match(412, "precondition_failed", if_match='"1", "2"'),
    "details: an If-Match of another service": _if_match(412, "precondition_failed", if_match='"v1"'),
    "details: an If-Match without quotes": _if_match(400, "if_match_malformed", if_match="1"),
    "details: an If-Match with one quote": _if_match(400, "if_match_malformed", if_match='"1'),
    "details: a list with a version without quotes": _if_match(400, "if_match_malformed", if_match='"1", 2'),
    "details: an empty If-Match": _if_match(400, "if_match_malformed", if_match=""),
    "details: a version of 2^70": _if_match(412, "precondition_failed", if_match='"1180591620717411303424"'),
    "note: without a text": _verb("notes", "/note", "required", {}),
    "note: a list": _verb("notes", "", "wrong_type", []),
    "note: for nobody": _verb("notes", "/visibility", "visibility_unknown", {"note": "a", "visibility": "secret"}),
    "capture: an amount and lines": _verb(
        "captures", "", "amount_or_lines", {"amount": "1.00", "lines": [{"line_id": 1, "quantity": 1}]}
    ),
    "capture: an amount as a number": _verb("captures", "/amount", "money_must_be_string", {"amount": 1}),
    "capture: no lines": _verb("captures", "/lines", "lines_required", {"lines": []}),
    "capture: 1,001 lines": _verb("captures", "/lines", "too_many_lines", {"lines": [{}] * 1001}),
    "capture: a line without a quantity": _verb(
        "captures", "/lines/0/quantity", "required", {"lines": [{"line_id": 1}]}
    ),
    "capture: final as a text": _verb("captures", "/final", "wrong_type", {"final": "false"}),
    "void: an amount": _verb("void", "", "unknown_field", {"amount": "1.00"}),
    "refund: an amount as a float": _verb("refunds", "/amount", "money_must_be_string", {"amount": 1.5}),
    "refund: a reason as a list": _verb("refunds", "/reason", "wrong_type", {"reason": []}),
    "settlement: without a day": _verb(
        "settlements", "/value_date", "required", {"gross": "1", "fee": "0", "net": "1"}
    ),
    "settlement: a day with a time": _verb(
        "settlements", "/value_date", "date_malformed", _PAYOUT | {"value_date": "2026-11-25T00:00:00Z"}
    ),
    "settlement: a day that is none": _verb(
        "settlements", "/value_date", "date_malformed", _PAYOUT | {"value_date": "2026-02-30"}
    ),
    "settlement: a day in other digits": _verb(
        "settlements",
        "/value_date",
        "date_malformed",
        _PAYOUT | {"value_date": "\u0662\u0660\u0662\u0666-\u0661\u0661-\u0662\u0665"},
    ),
    "settlement: a fee as a number": _verb("settlements", "/fee", "money_must_be_string", _PAYOUT | {"fee": 1}),
    "settlement: without a body": Refused(400, "body_empty", path=f"{_ORDER}/settlements"),
}
"""By a name that tells what is wrong; none of these keys is taken afterwards."""
