"""The requests of the generator."""

import orjson

from tests.bench.orders import AUTHORIZED, ORDER_BODY, RequestPlan, Source, source


def keys_of(next_request: Source, count: int) -> list[bytes]:
    requests = [next_request() for _ in range(count)]
    return [request.partition(b"Idempotency-Key: ")[2].partition(b"\r\n")[0] for request in requests if request]


def test_every_fresh_request_has_a_key_of_its_own_and_the_same_body() -> None:
    next_request = source(RequestPlan(api_key="k"))
    first = next_request()
    assert first is not None
    assert first.endswith(b"\r\n\r\n" + ORDER_BODY)
    assert b"Authorization: Bearer k\r\n" in first
    assert len(set(keys_of(next_request, 100))) == 100


def test_listed_keys_are_used_once_or_again_and_again() -> None:
    once = RequestPlan(kind="keys", listed=("a", "b"))
    assert keys_of(source(once), 4) == [b"a", b"b"]
    again = once.model_copy(update={"kind": "repeated keys"})
    assert keys_of(source(again), 5) == [b"a", b"b", b"a", b"b", b"a"]


def test_a_plan_may_change_one_order_again_and_again() -> None:
    next_request = source(RequestPlan(method="PATCH", path="/a/status", body=AUTHORIZED))
    assert (next_request() or b"").startswith(b"PATCH /a/status HTTP/1.1\r\n")
    assert len(set(keys_of(next_request, 100))) == 100


def test_each_listed_path_is_used_once_with_a_new_key_and_no_body() -> None:
    next_request = source(RequestPlan(kind="paths", listed=("/a/authorize", "/b/authorize"), body=b""))
    requests = [next_request(), next_request(), next_request()]
    assert requests[2] is None
    first = requests[0] or b""
    assert first.startswith(b"POST /a/authorize HTTP/1.1\r\n")
    assert b"Content-Length: 0\r\n" in first


def test_every_order_of_a_batch_has_a_key_of_its_own() -> None:
    next_request = source(RequestPlan(kind="batches", path="/api/v1/orders/batch", orders=3, api_key="k"))
    requests = [next_request() or b"" for _ in range(2)]
    bodies = [orjson.loads(request.partition(b"\r\n\r\n")[2]) for request in requests]
    assert requests[0].startswith(b"POST /api/v1/orders/batch HTTP/1.1\r\n")
    assert len({item["idempotency_key"] for body in bodies for item in body["orders"]}) == 6
    assert [item["order"] for item in bodies[0]["orders"]] == [orjson.loads(ORDER_BODY)] * 3
