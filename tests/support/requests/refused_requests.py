"""Requests that must be refused: what is sent, and the status and code of the response. One table for every suite."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from tests.support.orders.builders import order_body

ORDERS: Final = "/api/v1/orders"
KEY: Final = {"idempotency-key": "k-1"}
JSON: Final = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Refused:
    """One request and its response; the key of partner acme is sent unless `authorization` is in `headers`.

    `field_code` is the code of the first entry of `errors`, `pointer` where it points.
    """

    status: int
    code: str
    body: bytes = b""
    method: str = "POST"
    path: str = ORDERS
    headers: Mapping[str, str] = field(default_factory=lambda: KEY | JSON)
    field_code: str | None = None
    pointer: str | None = None


def _broken(body: bytes, code: str, status: int = 400) -> Refused:
    return Refused(status, code, body)


def _order(pointer: str, field_code: str, **overrides: object) -> Refused:
    body = orjson.dumps(order_body(**overrides))
    return Refused(422, "validation_failed", body, field_code=field_code, pointer=pointer)


def _line(pointer: str, field_code: str, **overrides: object) -> Refused:
    line: dict[str, object] = {"sku": "a", "quantity": 1, "unit_price": "1.00"}
    return _order(f"/lines/0{pointer}", field_code, lines=[line | overrides])


def _price(text: object, field_code: str = "amount_malformed", currency: str = "EUR") -> Refused:
    lines = [{"sku": "a", "quantity": 1, "unit_price": text}]
    return _order("/lines/0/unit_price", field_code, currency=currency, lines=lines)


def _raw_quantity(literal: bytes, status: int = 422, code: str = "validation_failed") -> Refused:
    template = orjson.dumps(order_body(lines=[{"sku": "a", "quantity": 77, "unit_price": "1.00"}]))
    return Refused(status, code, template.replace(b"77", literal))


def _without(name: str) -> bytes:
    return orjson.dumps({key: value for key, value in order_body().items() if key != name})


def _with_headers(status: int, code: str, **headers: str) -> Refused:
    sent = KEY | JSON | {name.replace("_", "-"): value for name, value in headers.items()}
    return Refused(status, code, orjson.dumps(order_body()), headers=sent)


def _verb(method: str, verb: str, body: bytes, field_code: str, pointer: str = "") -> Refused:
    path = f"{_UNKNOWN_ORDER}/{verb}"
    return Refused(422, "validation_failed", body, method, path, field_code=field_code, pointer=pointer)


_GOOD: Final = orjson.dumps(order_body())
_PENDING: Final = {"sku": "a", "quantity": 1, "unit_price": "1.00"}
_UNKNOWN_ORDER: Final = f"{ORDERS}/019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10"

BROKEN_JSON: Final = {
    "empty": _broken(b"", "body_empty"),
    "spaces": _broken(b"  ", "body_empty"),
    "half an object": _broken(b"{", "malformed_json"),
    "trailing comma": _broken(_GOOD[:-1] + b",}", "malformed_json"),
    "UTF-8 mark": _broken(b"\xef\xbb\xbf" + _GOOD, "body_not_utf8"),
    "UTF-16": _broken(_GOOD.decode().encode("utf-16"), "body_not_utf8"),
    "invalid UTF-8": _broken(_GOOD.replace(b"buyer", b"b\xffyer"), "body_not_utf8"),
    "raw control byte": _broken(_GOOD.replace(b"buyer", b"b\x01yer"), "malformed_json"),
    "duplicate key": _broken(_GOOD[:-1] + b',"currency":"USD"}', "duplicate_json_key"),
    "duplicate key in a line": _broken(
        _GOOD.replace(b'"quantity":3', b'"quantity":3,"quantity":4'), "duplicate_json_key"
    ),
    "NaN": _raw_quantity(b"NaN", 400, "malformed_json"),
    "Infinity": _raw_quantity(b"Infinity", 400, "malformed_json"),
    "1e999": _raw_quantity(b"1e999", 400, "number_out_of_range"),
    "integer of 4,301 digits": _raw_quantity(b"9" * 4301, 400, "number_out_of_range"),
    "integer of 10^5 digits": _raw_quantity(b"9" * 100_000, 400, "number_out_of_range"),
    "nesting of 900": _broken(b'{"metadata":' * 900 + b"1" + b"}" * 900, "json_too_complex"),
    "nesting of 10^6": _broken(b"[" * 1_000_000, "json_too_complex"),
    "lone surrogate": _broken(_GOOD.replace(b"buyer", rb"\ud800"), "invalid_unicode"),
    "null character": _broken(_GOOD.replace(b"buyer", rb"\u0000"), "invalid_unicode"),
    "80,000 unknown fields, all that fit": _broken(
        b"{" + b",".join(b'"f%d":1' % number for number in range(80_000)) + b"}", "json_too_complex"
    ),
    "10 MB": _broken(b'{"a":"' + b"x" * 10_000_000 + b'"}', "body_too_large", 413),
    "one byte over 1 MiB": _broken(b'{"a":"' + b"x" * (1_048_576 - 7) + b'"}', "body_too_large", 413),
}
BROKEN_SHAPES: Final = {
    "a list": Refused(422, "validation_failed", b"[]", field_code="wrong_type", pointer=""),
    "a text": Refused(422, "validation_failed", b'"order"', field_code="wrong_type", pointer=""),
    "a number": Refused(422, "validation_failed", b"42", field_code="wrong_type", pointer=""),
    "null": Refused(422, "validation_failed", b"null", field_code="wrong_type", pointer=""),
    "an empty object": Refused(422, "validation_failed", b"{}", field_code="required", pointer="/customer_email"),
    "unknown field": _order("/colour", "unknown_field", colour="red"),
    "unknown field of a line": _line("/colour", "unknown_field", colour="red"),
    "an unknown field with an odd name": _order("", "unknown_field", **{"<b>": 1}),
    "an unknown field with a long name": _order("", "unknown_field", **{"x" * 41: 1}),
    "200 unknown fields": _order("/f0", "unknown_field", **{f"f{number}": 1 for number in range(200)}),
    "server-set id": _order("/id", "unknown_field", id="019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10"),
    "server-set status": _order("/status", "unknown_field", status="captured"),
    "server-set partner": _order("/partner_id", "unknown_field", partner_id="other"),
    "server-set mode": _order("/livemode", "unknown_field", livemode=True),
    "no email": Refused(422, "validation_failed", _without("customer_email"), pointer="/customer_email"),
    "no currency": Refused(422, "validation_failed", _without("currency"), pointer="/currency"),
    "no lines": Refused(422, "validation_failed", _without("lines"), pointer="/lines"),
    "empty lines": _order("/lines", "lines_required", lines=[]),
    "lines as an object": _order("/lines", "wrong_type", lines={"0": _PENDING}),
    "lines null": _order("/lines", "wrong_type", lines=None),
    "a line null": _order("/lines/0", "wrong_type", lines=[None]),
    "1,001 lines": _order("/lines", "too_many_lines", lines=[_PENDING] * 1001),
    "30,000 empty lines": _order("/lines", "too_many_lines", lines=[{}] * 30_000),
    "200,000 empty lines": _broken(orjson.dumps(order_body(lines=[{}] * 200_000)), "json_too_complex"),
    "metadata as a list": _order("/metadata", "wrong_type", metadata=[]),
    "metadata with a number": _order("/metadata/a", "wrong_type", metadata={"a": 1}),
    "metadata nested": _order("/metadata/a", "wrong_type", metadata={"a": {"b": "c"}}),
    "metadata of 51 entries": _order("/metadata", "metadata_too_many", metadata={f"k{n}": "v" for n in range(51)}),
    "metadata key of spaces": _order("/metadata/a b", "metadata_key", metadata={"a b": "c"}),
    "metadata key with a slash and a tilde": _order("/metadata/a~1b~0", "metadata_key", metadata={"a/b~": "c"}),
    "metadata key with markup": _order("/metadata", "metadata_key", metadata={"<b>": "c"}),
    "metadata key empty": _order("/metadata", "metadata_key", metadata={"": "c"}),
    "metadata value of 501": _order("/metadata/a", "text_too_long", metadata={"a": "x" * 501}),
}
_NO_AMOUNTS: Final = "1E+1000000 0E+1000000 1e2 NaN Infinity -0 -1.00 +1 1_000 1,000.00 1,5".split()  # noqa: SIM905
BROKEN_MONEY: Final = {text: _price(text) for text in _NO_AMOUNTS} | {
    "a JSON integer": _price(19, "money_must_be_string"),
    "a JSON float": _price(19.99, "money_must_be_string"),
    "true": _price(True, "money_must_be_string"),
    "null": _price(None, "money_must_be_string"),
    "an object": _price({"amount": "1.00"}, "money_must_be_string"),
    "leading zero": _price("01.00"),
    "two leading zeros": _price("00"),
    "leading point": _price(".5"),
    "trailing point": _price("5."),
    "two points": _price("1.0.0"),
    "space before": _price(" 1.00"),
    "space after": _price("1.00 "),
    "newline after": _price("1.00\n"),
    "empty": _price(""),
    "hexadecimal": _price("0x10"),
    "Arabic digits": _price("\u0661\u0662"),
    "full-width digits": _price("\uff11\uff12"),
    "a superscript digit": _price("1\u00b2"),
    "10^5 digits": _price("9" * 100_000, "amount_too_large"),
    "17 digits": _price("9" * 17, "amount_too_large"),
    "five decimals": _price("1.00000", "currency_precision"),
    "a currency sign": _price("\u20ac1.00"),
    "zero": _price("0.00", "amount_zero"),
    "three decimals in EUR": _price("1.001", "currency_precision"),
    "decimals in JPY": _price("100.00", "currency_precision", "JPY"),
    "four decimals in KWD": _price("1.0001", "currency_precision", "KWD"),
    "too large": _price("9999999999999999", "amount_too_large"),
    "a line that overflows": _line("/unit_price", "amount_too_large", quantity=999, unit_price="9999999999999.99"),
    "a total that overflows": _order(
        "/lines", "amount_too_large", lines=[_PENDING | {"unit_price": "9999999999999.99"}] * 2
    ),
    "currency in lower case": _order("/currency", "currency_unknown", currency="eur"),
    "no such currency": _order("/currency", "currency_unknown", currency="ABC"),
    "a withdrawn currency": _order("/currency", "currency_unknown", currency="DEM"),
    "a metal": _order("/currency", "currency_unknown", currency="XAU"),
    "currency empty": _order("/currency", "currency_unknown", currency=""),
    "currency in Cyrillic": _order("/currency", "currency_unknown", currency="\u0415UR"),
    "currency as a number": _order("/currency", "wrong_type", currency=978),
}
BROKEN_NUMBERS: Final = {
    "quantity true": _raw_quantity(b"true"),
    "quantity as text": _raw_quantity(b'"1"'),
    "quantity 1.0": _raw_quantity(b"1.0"),
    "quantity 1e2": _raw_quantity(b"1e2"),
    "quantity null": _raw_quantity(b"null"),
    "quantity list": _raw_quantity(b"[1]"),
    "quantity 0": _line("/quantity", "quantity_out_of_range", quantity=0),
    "quantity -1": _line("/quantity", "quantity_out_of_range", quantity=-1),
    "quantity 1,000": _line("/quantity", "quantity_out_of_range", quantity=1000),
    "quantity 2^63 - 1": _line("/quantity", "quantity_out_of_range", quantity=2**63 - 1),
    "quantity 2^63": _raw_quantity(b"9223372036854775808", 400, "number_out_of_range"),
}
BROKEN_TEXTS: Final = {
    "sku empty": _line("/sku", "text_empty", sku=""),
    "sku of 65": _line("/sku", "text_too_long", sku="x" * 65),
    "sku as a number": _line("/sku", "wrong_type", sku=85123),
    "sku with CR LF": _line("/sku", "text_character", sku="a\r\nb"),
    "sku with ESC": _line("/sku", "text_character", sku="a\x1b[2Jb"),
    "sku with DEL": _line("/sku", "text_character", sku="a\x7fb"),
    "sku with a C1 control": _line("/sku", "text_character", sku="a\x85b"),
    "sku with a bidi override": _line("/sku", "text_character", sku="a\u202eb"),
    "sku with a zero-width space": _line("/sku", "text_character", sku="a\u200bb"),
    "sku with a line separator": _line("/sku", "text_character", sku="a\u2028b"),
    "sku with a private character": _line("/sku", "text_character", sku="a\ue000b"),
    "sku with an unassigned character": _line("/sku", "text_character", sku="a\U000e0fffb"),
    "sku with a tag character": _line("/sku", "text_character", sku="a\U000e0041b"),
    "sku with a variation selector": _line("/sku", "text_character", sku="a\ufe0fb"),
    "sku with spaces around": _line("/sku", "text_spaces", sku=" a "),
    "sku with a no-break space": _line("/sku", "text_spaces", sku="a\u00a0b"),
    "sku that starts with a mark": _line("/sku", "text_marks", sku="\u0301a"),
    "sku of 40 marks": _line("/sku", "text_marks", sku="a" + "\u0301" * 40),
    "sku of 10^5 marks": _line("/sku", "text_too_long", sku="a" + "\u0301" * 100_000),
    "reference empty": _order("/external_reference", "text_empty", external_reference=""),
    "reference of 129": _order("/external_reference", "text_too_long", external_reference="x" * 129),
    "reference as a number": _order("/external_reference", "wrong_type", external_reference=1),
    "email without @": _order("/customer_email", "email_malformed", customer_email="buyer"),
    "email without a dot": _order("/customer_email", "email_malformed", customer_email="buyer@example"),
    "email with two @": _order("/customer_email", "email_malformed", customer_email="a@b@example.com"),
    "email with a newline": _order("/customer_email", "text_character", customer_email="a@example.com\nBcc: x@y.z"),
    "email of 255": _order("/customer_email", "text_too_long", customer_email="a" * 243 + "@example.com"),
    "email at an address": _order("/customer_email", "email_malformed", customer_email="ada@1.2.3.4"),
    "email at an address in brackets": _order("/customer_email", "email_malformed", customer_email="ada@[1.2.3.4]"),
    "email with a dot at the end": _order("/customer_email", "email_malformed", customer_email="ada@example.com."),
    "email with two dots": _order("/customer_email", "email_malformed", customer_email="ada@example..com"),
    "email with a local part of 65": _order(
        "/customer_email", "email_malformed", customer_email="a" * 65 + "@example.com"
    ),
    "metadata value of blanks": _order("/metadata/a", "text_blank", metadata={"a": " \n\t"}),
    "metadata value that is invisible": _order("/metadata/a", "text_blank", metadata={"a": "\u200d\u3164"}),
    "metadata value with a bidi override": _order("/metadata/a", "text_character", metadata={"a": "b\u202ec"}),
    "sku with a line feed": _line("/sku", "text_character", sku="a\nb"),
    "sku with a tab": _line("/sku", "text_character", sku="a\tb"),
    "sku with a joiner": _line("/sku", "text_character", sku="a\u200db"),
    "reference with a line feed": _order("/external_reference", "text_character", external_reference="a\nb"),
    "email null": _order("/customer_email", "wrong_type", customer_email=None),
}
BROKEN_HEADERS: Final = {
    "no content type": Refused(415, "unsupported_media_type", _GOOD, headers=KEY),
    "text/plain": _with_headers(415, "unsupported_media_type", content_type="text/plain"),
    "a form": _with_headers(415, "unsupported_media_type", content_type="application/x-www-form-urlencoded"),
    "JSON in Latin-1": _with_headers(415, "unsupported_media_type", content_type="application/json; charset=latin-1"),
    "JSON in UTF-16": _with_headers(415, "unsupported_media_type", content_type="application/json; charset=utf-16"),
    "a vendor type": _with_headers(415, "unsupported_media_type", content_type="application/vnd.api+json"),
    "gzip": _with_headers(415, "content_encoding_unsupported", content_encoding="gzip"),
    "only XML accepted": _with_headers(406, "not_acceptable", accept="application/xml"),
    "no idempotency key": Refused(400, "idempotency_key_required", _GOOD, headers=JSON),
    "an empty idempotency key": _with_headers(400, "idempotency_key_invalid", idempotency_key=""),
    "a quoted empty idempotency key": _with_headers(400, "idempotency_key_invalid", idempotency_key='""'),
    "an idempotency key of 256": _with_headers(400, "idempotency_key_invalid", idempotency_key="k" * 256),
    "an idempotency key of 8 KB": _with_headers(400, "idempotency_key_invalid", idempotency_key="k" * 8192),
    "an idempotency key with a space": _with_headers(400, "idempotency_key_invalid", idempotency_key="a b"),
    "an idempotency key half quoted": _with_headers(400, "idempotency_key_invalid", idempotency_key='"abc'),
    "a key in Latin-1": _with_headers(400, "idempotency_key_invalid", idempotency_key="caf\u00e9"),
    "a header of 1 MB": _with_headers(431, "headers_too_large", x_padding="x" * 1_000_000),
}
BROKEN_CREDENTIALS: Final = {
    "no key": _with_headers(401, "api_key_missing", authorization=""),
    "not a bearer": _with_headers(401, "api_key_malformed", authorization="Basic YTpi"),
    "a word": _with_headers(401, "api_key_malformed", authorization="Bearer secret"),
    "a wrong checksum": _with_headers(
        401, "api_key_malformed", authorization="Bearer hbr_test_abcdefgh_" + "a" * 30 + "000000"
    ),
    "a key of 100 KB": _with_headers(431, "headers_too_large", authorization="Bearer " + "a" * 100_000),
    "a key in Latin-1": _with_headers(401, "api_key_malformed", authorization="Bearer hbr_test_caf\u00e9"),
    "a null in the key": _with_headers(401, "api_key_malformed", authorization="Bearer hbr_test_a%00"),
}
_NO_ADDRESSES: Final = {
    "an order nobody made": f"{_UNKNOWN_ORDER}/authorize",
    "an id that is a number": f"{ORDERS}/9223372036854775808/authorize",
    "an id in upper case": f"{_UNKNOWN_ORDER.replace('aaf', 'AAF')}/authorize",
    "an id in braces": f"{ORDERS}/%7B{_UNKNOWN_ORDER[-36:]}%7D/authorize",
    "an id without dashes": f"{ORDERS}/{'0' * 32}/authorize",
    "an id with a null": f"{ORDERS}/%00/authorize",
    "an id of 10^4 characters": f"{ORDERS}/{'a' * 10_000}/authorize",
    "no such verb": f"{_UNKNOWN_ORDER}/explode",
    "a slash too many": f"{ORDERS}/",
}
BROKEN_ADDRESSES: Final = {
    name: Refused(404, "not_found", b"{}", path=path) for name, path in _NO_ADDRESSES.items()
} | {
    "GET of the collection": Refused(405, "method_not_allowed", method="GET"),
    "DELETE of the collection": Refused(405, "method_not_allowed", method="DELETE"),
    "TRACE": Refused(405, "method_not_allowed", method="TRACE"),
    "a made-up method": Refused(405, "method_not_allowed", method="BREW"),
}
BROKEN_VERBS: Final = {
    "authorize with a field": _verb("POST", "authorize", b'{"amount":"1.00"}', "unknown_field", "/amount"),
    "captures with a list": _verb("POST", "captures", b"[]", "wrong_type"),
    "cancel with a number as reason": _verb("POST", "cancel", b'{"reason":1}', "wrong_type", "/reason"),
    "status without a body": Refused(400, "body_empty", method="PATCH", path=f"{_UNKNOWN_ORDER}/status"),
    "an unknown status": _verb("PATCH", "status", b'{"status":"lost"}', "status_unknown", "/status"),
    "a status as a number": _verb("PATCH", "status", b'{"status":1}', "wrong_type", "/status"),
    "a status in upper case": _verb("PATCH", "status", b'{"status":"PENDING"}', "status_unknown", "/status"),
}
REFUSED: Final[dict[str, Refused]] = {
    f"{group}: {name}": refused
    for group, requests in {
        "JSON": BROKEN_JSON,
        "shape": BROKEN_SHAPES,
        "money": BROKEN_MONEY,
        "number": BROKEN_NUMBERS,
        "text": BROKEN_TEXTS,
        "header": BROKEN_HEADERS,
        "credential": BROKEN_CREDENTIALS,
        "address": BROKEN_ADDRESSES,
        "verb": BROKEN_VERBS,
    }.items()
    for name, refused in requests.items()
}
"""Every request of the tables above, by a name that says what is wrong with it."""
