"""Query strings, tokens and addresses that the query service must refuse, with the code of each refusal."""

from typing import Final

from tests.support.requests.refused_requests import Refused

ORDERS: Final = "/api/v1/orders"
DELIVERIES: Final = "/api/v1/webhook-deliveries"
_ORDER: Final = f"{ORDERS}/019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10"

# by the code inside `errors`; no query has a space
_BAD_LISTS_BY_CODE: Final = {
    "limit_invalid": "limit=0 limit=-1 limit=201 limit=9223372036854775808 limit=1e2 limit=1.0 limit=%2B1 limit=01 "
    "limit=%D9%A1 limit=1_0 limit=true",
    "parameter_empty": "limit= limit status= external_reference=",
    "parameter_repeated": "limit=1&limit=1 status=pending&status=captured",
    "status_invalid": "status=Pending status=pending,captured status=pending%00",
    "timestamp_without_time": "created_from=2026-11-23 created_to=2026-11-23",
    "timestamp_without_offset": "created_from=2026-11-23T01:02:03 created_from=2026-11-23%2001:02:03.5",
    "range_reversed": "created_to=2026-11-23T01:02:03Z&created_from=2026-11-23T01:02:04Z "
    "created_to=2026-11-23T00:00:00Z&created_from=2026-11-23T00:00:01%2B00:00",
    "timestamp_invalid": "created_from=2026-11-23T01:02:03+01:00 created_from=2026-13-23T01:02:03Z "
    "created_from=2026-11-23T25:02:03Z created_from=2026-11-23T01:02:60Z created_from=2026-11-23T24:00:00Z "
    "created_from=0001-01-01T00:00:00%2B14:00 "
    "created_to=9999-12-31T23:59:59-14:00 created_to=1764000000 created_to=now created_to=%D9%A2026-11-23T01:02:03Z "
    "created_to=2026-11-23T01:02:03%2B0100 created_to=2026-11-23T01:02:03%2B99:99",
    "external_reference_invalid": "external_reference=%00 external_reference=a%0Ab external_reference=%1B[31m "
    "external_reference=%E2%80%AE external_reference=%20 external_reference=a%E2%80%8Bb external_reference=a%C2%A0b "
    "external_reference=" + "a" * 129,
    "query_malformed": "external_reference=%FF external_reference=%ED%A0%80",
    "query_too_long": "limit=" + "1" * 5_000,
    "too_many_parameters": "&".join(f"a{number}=1" for number in range(21)),
    "parameter_unknown": "api_key=hbr_test_x Limit=1 limit[]=1 %00=1 =1 a=1&b=2&c=3",
}
BAD_LISTS: Final = {query: code for code, queries in _BAD_LISTS_BY_CODE.items() for query in queries.split()}

BAD_QUERIES: Final = {
    "cursor=x": "cursor_invalid",
    "cursor=" + "A" * 55: "cursor_invalid",
    "cursor=%00": "cursor_invalid",
    "cursor=../../etc/passwd": "cursor_invalid",
}

BAD_DELIVERY_LISTS: Final = {
    "status=leased": "status_invalid",
    "endpoint_id=1": "endpoint_id_invalid",
    "endpoint_id={019a8b5c-0000-7000-8000-000000000000}": "endpoint_id_invalid",
    "endpoint_id=urn:uuid:019a8b5c-0000-7000-8000-000000000000": "endpoint_id_invalid",
    "external_reference=a": "parameter_unknown",
}

BAD_TOKENS: Final = ("", "1", "1.", ".1", "12.1", "-1.1", "1.-1", "1.1.1", "x.y", "1." + "9" * 19, "01.1", "1.1 ")

_BAD_ADDRESSES: Final = {
    "an order nobody made": _ORDER,
    "the timeline of an order nobody made": f"{_ORDER}/timeline",
    "the notes of an order nobody made": f"{_ORDER}/notes",
    "a delivery nobody made": f"{DELIVERIES}/019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10",
    "an id of 2^63": f"{ORDERS}/9223372036854775808",
    "an id of -1": f"{ORDERS}/-1",
    "an id in upper case": _ORDER.upper().replace("/API/V1/ORDERS", ORDERS),
    "an id in braces": f"{ORDERS}/%7B019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10%7D",
    "an id as a URN": f"{ORDERS}/urn:uuid:019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10",
    "an id without dashes": f"{ORDERS}/{'0' * 32}",
    "an id with a null": f"{ORDERS}/%00",
    "an id that leads upwards": f"{ORDERS}/..%2F..%2Fetc%2Fpasswd",
    "an id that is not UTF-8": f"{ORDERS}/%FF%FE",
    "an id of 10^4 characters": f"{ORDERS}/{'a' * 10_000}",
    "an address that does not exist": "/api/v2/orders",
    "a slash too many": f"{ORDERS}/",
}


def _get(
    status: int, code: str, path: str, field_code: str | None = None, pointer: str | None = None, **headers: str
) -> Refused:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Refused(status, code, method="GET", path=path, headers=sent, field_code=field_code, pointer=pointer)


def _bad_list(path: str, query: str, code: str) -> Refused:
    name = f"/{query.partition('=')[0]}"
    if code.startswith("query_") or not name[1:].replace("_", "a").isalpha():
        name = ""
    return _get(422, "validation_failed", f"{path}?{query}", code, f"/query{name}")


REFUSED_READS: Final[dict[str, Refused]] = (
    {f"query: {q[:60]}": _bad_list(ORDERS, q, code) for q, code in BAD_LISTS.items()}
    | {f"query: {q[:60]}": _get(422, code, f"{ORDERS}?{q}") for q, code in BAD_QUERIES.items()}
    | {f"query of deliveries: {q[:60]}": _bad_list(DELIVERIES, q, code) for q, code in BAD_DELIVERY_LISTS.items()}
    | {
        f"token: {token!r}": _get(422, "consistency_token_invalid", ORDERS, consistency_token=token)
        for token in BAD_TOKENS
        if token == token.strip()  # spaces around a value are not part of it on the wire
    }
    | {
        f"condition: {text!r}": _get(400, "if_none_match_malformed", _ORDER, if_none_match=text)
        for text in ("1", '"1', '"1", 2', "*, *", "")
    }
    | {f"address: {name}": _get(404, "not_found", path) for name, path in _BAD_ADDRESSES.items()}
    | {
        f"method: {method}": Refused(405, "method_not_allowed", method=method, path=ORDERS, headers={})
        for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS")
    }
    | {
        "body: of a GET": Refused(
            422, "validation_failed", b'{"limit":1}', "GET", ORDERS, {}, field_code="body_not_taken", pointer=""
        ),
        "credential: none": _get(401, "api_key_missing", ORDERS, authorization=""),
        "credential: a word": _get(401, "api_key_malformed", ORDERS, authorization="Bearer secret"),
        "credential: another scheme": _get(401, "api_key_malformed", ORDERS, authorization="Basic YTpi"),
        "credential: in the address": _get(401, "api_key_missing", f"{ORDERS}?api_key=hbr_test_x", authorization=""),
        "header: only XML accepted": _get(406, "not_acceptable", ORDERS, accept="application/xml"),
        "header: gzip": _get(415, "content_encoding_unsupported", ORDERS, content_encoding="gzip"),
    }
)
"""Every request of the tables above, by a name that tells what is wrong with it."""
