"""Refused webhook endpoints and API keys: the body, where it is wrong, and the code inside `errors`."""

from typing import Any, Final

import orjson

from tests.support.requests.refused_requests import JSON, KEY, Refused

_ENDPOINT: Final[dict[str, object]] = {"url": "https://hooks.example.com/orders"}

BAD_ENDPOINTS: Final[list[tuple[dict[str, Any], str, str]]] = [
    ({}, "/url", "required"),
    ({"url": 1}, "/url", "wrong_type"),
    (_ENDPOINT | {"secret": "whsec_mine"}, "/secret", "unknown_field"),
    ({"url": "http://example.com/"}, "/url", "scheme_not_allowed"),
    ({"url": "https://8.8.8.8\\@127.0.0.1/"}, "/url", "url_malformed"),
    ({"url": "https://127.0.0.1/"}, "/url", "address_denied"),
    ({"url": "https://[::ffff:10.0.0.1]/"}, "/url", "address_denied"),
    ({"url": "https://0x7f.1/"}, "/url", "hostname_invalid"),
    ({"url": "https://user:pass@example.com/"}, "/url", "userinfo_not_allowed"),
    ({"url": "https://example.com:22/"}, "/url", "port_not_allowed"),
    ({"url": "https://example.com/" + "a" * 5000}, "/url", "url_too_long"),
    (_ENDPOINT | {"event_types": []}, "/event_types", "event_types_count"),
    (_ENDPOINT | {"event_types": ["*"] * 100_000}, "/event_types", "event_types_count"),
    (_ENDPOINT | {"event_types": ["order.refnded"]}, "/event_types/0", "event_type_unknown"),
    (_ENDPOINT | {"event_types": ["*", "*.created"]}, "/event_types/1", "event_type_unknown"),
    (_ENDPOINT | {"event_types": [7]}, "/event_types/0", "wrong_type"),
    (_ENDPOINT | {"payload": "fat"}, "/payload", "payload_unknown"),
    (_ENDPOINT | {"event_types": [7] * 100_000}, "/event_types/0", "wrong_type"),
    (_ENDPOINT | {"description": "\u202e"}, "/description", "text_character"),
    (_ENDPOINT | {"description": " \n"}, "/description", "text_blank"),
    (_ENDPOINT | {"description": "x" * 501}, "/description", "text_too_long"),
]
_BAD_KEYS: Final[list[tuple[dict[str, Any], str, str]]] = [
    ({"scopes": []}, "/scopes", "scopes_count"),
    ({"scopes": ["orders:read"] * 50_000}, "/scopes", "scopes_count"),
    ({"scopes": "orders:read"}, "/scopes", "wrong_type"),
    ({"scopes": ["orders:read", "orders:eat"]}, "/scopes/1", "scope_unknown"),
    ({"scopes": ["audit:read"]}, "/scopes/0", "scope_unknown"),
    ({"label": "x" * 101}, "/label", "label_malformed"),
    ({"label": "\u202e"}, "/label", "label_malformed"),
    ({"label": " "}, "/label", "label_malformed"),
    ({"label": "\u3164"}, "/label", "label_malformed"),
    ({"label": "two\nlines"}, "/label", "label_malformed"),
    ({"expires_at": "2027-01-31T24:00:00Z"}, "/expires_at", "expiry_malformed"),
    ({"expires_at": 1764000000}, "/expires_at", "wrong_type"),
    ({"expires_at": None}, "/expires_at", "wrong_type"),
    ({"partner_id": None}, "/partner_id", "wrong_type"),
    ({"expires_at": "2027-01-31"}, "/expires_at", "expiry_malformed"),
    ({"expires_at": "2027-01-31T00:00:00"}, "/expires_at", "expiry_malformed"),
    ({"expires_at": "2020-01-31T00:00:00Z"}, "/expires_at", "expiry_out_of_range"),
    ({"expires_at": "9999-12-31T23:59:59-14:00"}, "/expires_at", "expiry_malformed"),
    ({"expires_at": "2999-12-31T00:00:00Z"}, "/expires_at", "expiry_out_of_range"),
    ({"key": "hbr_test_mine"}, "/key", "unknown_field"),
    ({"livemode": True}, "/livemode", "unknown_field"),
]
BAD_KEYS: Final = [
    ({}, "/scopes", "required"),
    *(({"scopes": ["orders:read"]} | body, pointer, code) for body, pointer, code in _BAD_KEYS),
]


def _refused(path: str, body: object, pointer: str, code: str) -> Refused:
    return Refused(
        422, "validation_failed", orjson.dumps(body), path=path, headers=KEY | JSON, pointer=pointer, field_code=code
    )


_KEYS: Final = "/api/v1/api-keys"
REFUSED_SETTINGS: Final[dict[str, Refused]] = (
    {
        f"webhook endpoint: {number}, {code}": _refused("/api/v1/webhook-endpoints", body, pointer, code)
        for number, (body, pointer, code) in enumerate(BAD_ENDPOINTS)
    }
    | {
        f"API key: {number}, {code}": _refused(_KEYS, body, pointer, code)
        for number, (body, pointer, code) in enumerate(BAD_KEYS)
    }
    | {
        "API key: without an idempotency key": Refused(
            400, "idempotency_key_required", b'{"scopes":["orders:read"]}', path=_KEYS, headers=JSON
        ),
        "API key: one nobody made": Refused(404, "not_found", path=f"{_KEYS}/00000000/revoke"),
        "API key: an id that is none": Refused(404, "not_found", path=f"{_KEYS}/%00/revoke"),
        "API key: an overlap of 1.5 s": _refused(
            f"{_KEYS}/00000000/rotate", {"overlap_s": 1.5}, "/overlap_s", "wrong_type"
        ),
        "API key: a list that repeats a parameter": Refused(
            422,
            "validation_failed",
            method="GET",
            path=f"{_KEYS}?limit=1&limit=1",
            headers={},
            field_code="parameter_repeated",
        ),
        "API key: a cursor that is none": Refused(
            422, "cursor_invalid", method="GET", path=f"{_KEYS}?cursor=%00", headers={}
        ),
    }
)
"""The same as requests."""
