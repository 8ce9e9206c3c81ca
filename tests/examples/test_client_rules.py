"""When the client of examples/harbor_client repeats, waits and gives up; what it shows and reads. No I/O."""

import json
import pickle
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from harbor_orders_client import (
    Conflict,
    ConnectionFailed,
    HarborOrders,
    NewLine,
    NewOrder,
    OutcomeUnknown,
    Service,
    Unavailable,
    UnexpectedResponse,
)
from harbor_orders_client.documents.reading import read
from harbor_orders_client.documents.responses import Amount
from harbor_orders_client.errors import error_of
from harbor_orders_client.operations import orders, payments, requests
from harbor_orders_client.operations import webhooks as hooks
from harbor_orders_client.problems import problem_from, problem_of
from harbor_orders_client.transport.consistency import Consistency
from harbor_orders_client.transport.retries import Contact, Patience, Rules, send_until_known
from harbor_orders_client.transport.wire import NoReply, Outcome, Reply, Request
from tests.support.services.harbor_clients import Played, drive

CHANGE = payments.authorize_order("019a8b5c-0000-7000-8000-000000000000")
READ = orders.get_order("019a8b5c-0000-7000-8000-000000000000")
KEYLESS = hooks.create_webhook_endpoint("https://example.com")
DELETE = hooks.delete_webhook_endpoint("019a8b5c-0000-7000-8000-000000000000")
DONE = Reply(200, {}, b"{}")
LOST = NoReply("ReadTimeout", was_sent=True)
UNREACHED = NoReply("ConnectError", was_sent=False)


def refusal(status: int, code: str = "", *, retryable: bool | None = None, **headers: str) -> Reply:
    """Return a problem document."""
    document: dict[str, Any] = {"code": code, "detail": "d", "request_id": "r"}
    if retryable is not None:
        document["retryable"] = retryable
    return Reply(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(document).encode()
    )


FINAL = refusal(409, "already_captured", retryable=False)
BUSY = refusal(503, "overloaded", retryable=True, retry_after="1")
SLOW = refusal(503, "deadline_exceeded", retryable=True, retry_after="1")
LIMITED = refusal(429, "rate_limited", retryable=True, retry_after="3")


def play(request: Request[Any], outcomes: Sequence[Outcome], chance: float = 1.0, **patience: float) -> Played:
    """Let a request meet outcomes."""
    rules = Rules(replace(Patience(), **patience))  # type: ignore[arg-type]  # its numbers
    return drive(lambda made: send_until_known(made, request, {}), outcomes, rules, chance)


@pytest.mark.parametrize("outcome", [LOST, UNREACHED, BUSY, SLOW, LIMITED, refusal(500), refusal(502), refusal(408)])
def test_what_may_succeed_later_is_sent_again_with_the_same_key(outcome: Outcome) -> None:
    played = play(CHANGE, [outcome, DONE])

    assert played.end is DONE
    assert len({send.request.idempotency_key for send in played.sends}) == 1
    assert len(played.sends) == 2


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 409, 412, 413, 422, 428, 431, 501])
def test_what_is_final_is_sent_once(status: int) -> None:
    assert len(play(CHANGE, [refusal(status)]).sends) == 1


def test_the_word_of_the_service_counts_and_not_its_status() -> None:
    assert len(play(CHANGE, [refusal(503, "closed", retryable=False)]).sends) == 1
    assert len(play(CHANGE, [refusal(409, "concurrent_modification", retryable=True), DONE]).sends) == 2


def test_it_waits_as_long_as_retry_after_says_and_a_little_longer() -> None:
    assert play(CHANGE, [LIMITED, DONE], chance=0).pauses == [3.0]
    assert play(CHANGE, [LIMITED, DONE], chance=1).pauses == [3.25]


def test_without_retry_after_it_waits_up_to_twice_as_long_each_time() -> None:
    assert play(CHANGE, [LOST] * 7, chance=1.0).pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
    assert play(CHANGE, [LOST] * 7, chance=0.5).pauses == [0.125, 0.25, 0.5, 1.0, 2.0, 4.0]


def test_attempts_and_time_are_bounded() -> None:
    assert len(play(CHANGE, [LOST] * 3, max_retries=2).sends) == 3
    late = play(CHANGE, [LIMITED] * 4, chance=0, total_timeout_s=10, timeout_s=5)
    assert late.pauses == [3.0, 3.0, 3.0]
    assert [send.timeout_s for send in late.sends] == [5, 5, 4, 1]


def test_a_retry_after_beyond_the_deadline_is_not_waited_for() -> None:
    assert play(CHANGE, [LIMITED], total_timeout_s=2).pauses == []


def test_a_service_that_was_never_reached_is_given_up_sooner() -> None:
    assert sum(play(CHANGE, [UNREACHED], max_retries=99, unreached_timeout_s=5).pauses) <= 5
    for reached in (LOST, BUSY):
        assert sum(play(CHANGE, [reached, UNREACHED], max_retries=99, unreached_timeout_s=5).pauses) > 50


def test_a_missing_response_is_reported_once_until_there_is_one_again() -> None:
    reports: list[str] = []
    rules = Rules(Patience(unreached_timeout_s=30), contact=Contact(reports.append))

    drive(lambda made: send_until_known(made, CHANGE, {}), [UNREACHED, UNREACHED, LOST, BUSY, UNREACHED, DONE], rules)

    assert reports == [
        "ConnectError; trying for up to 30 s (is it up? make up DETACH=1 starts the local one)",
        "ConnectError; trying for up to 60 s (is it up? make up DETACH=1 starts the local one)",
    ]


@pytest.mark.parametrize(
    "outcomes",
    [
        [LOST],
        [SLOW],
        [LOST, LIMITED],
        [SLOW, BUSY],
        [LOST, UNREACHED],
        [LOST, refusal(401)],
        [LOST, refusal(409, "concurrent_modification", retryable=True)],
    ],
)
def test_a_change_that_may_have_been_made_ends_as_unknown_with_its_key(outcomes: list[Outcome]) -> None:
    end = play(CHANGE, outcomes, max_retries=len(outcomes) - 1).end

    assert isinstance(end, OutcomeUnknown)
    assert end.idempotency_key == CHANGE.idempotency_key
    assert str(CHANGE.idempotency_key) in str(end)


def test_a_final_refusal_decides_every_attempt_before_it() -> None:
    assert isinstance(play(CHANGE, [LOST, FINAL]).end, Conflict)


def test_a_change_that_was_certainly_not_made_is_not_reported_as_unknown() -> None:
    assert isinstance(play(CHANGE, [UNREACHED], max_retries=0).end, ConnectionFailed)
    assert isinstance(play(CHANGE, [BUSY], max_retries=0).end, Unavailable)
    assert isinstance(play(READ, [LOST], max_retries=0).end, ConnectionFailed)


def test_a_change_without_a_key_is_repeated_only_if_it_was_certainly_not_made() -> None:
    assert play(KEYLESS, [BUSY, UNREACHED, DONE]).end is DONE
    assert isinstance(play(KEYLESS, [LOST]).end, OutcomeUnknown)


def test_a_delete_whose_response_was_lost_is_done_when_the_thing_is_gone() -> None:
    gone = refusal(404, "not_found")
    assert play(DELETE, [LOST, gone]).end is gone
    assert isinstance(play(DELETE, [gone]).end, Exception)


def test_a_refused_value_is_shown_with_its_place_and_reason_and_what_is_not_listed_is_counted() -> None:
    errors = [{"pointer": "/metadata/a", "code": "text_blank", "detail": "has nothing to see"}]
    document = {"code": "validation_failed", "detail": "See errors.", "errors": errors, "errors_omitted": 37}

    error = error_of(problem_from(422, document, "r-1"))

    assert (error.errors_omitted, error.problem.members) == (37, {})
    assert "; /metadata/a: text_blank: has nothing to see; and 37 more (request r-1)" in str(error)
    assert error_of(problem_from(422, document | {"errors_omitted": "x"})).errors_omitted == 0


@pytest.mark.parametrize("error", [play(CHANGE, [FINAL]).end, play(KEYLESS, [LOST]).end, UnexpectedResponse("why")])
def test_errors_can_be_pickled(error: Exception) -> None:
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    assert (type(copied), str(copied)) == (type(error), str(error))


def test_a_response_from_something_in_between_is_an_error_like_any_other() -> None:
    error = error_of(problem_of(Reply(502, {"x-request-id": "r-1"}, b"<html>Bad Gateway</html>")))
    assert (type(error), error.code, error.request_id, error.retryable) == (Unavailable, "http_502", "r-1", True)


def test_the_api_key_never_shows() -> None:
    with HarborOrders("hbr_test_secret", command_url="http://a", query_url="http://b") as harbor:
        program = harbor.session.perform(READ)
        shown = [repr(harbor), repr(harbor.session), repr(vars(harbor)), repr(program)]
    assert not any("hbr_test_secret" in text for text in shown)
    for wrong in ("", " hbr_test_secret", "hbr_test_secret\n", "hbr_test_s\u00e9cret"):
        with pytest.raises(ValueError, match="not an API key") as refused:
            HarborOrders(wrong, command_url="http://a", query_url="http://b")
        assert "secret" not in str(refused.value)


def test_an_order_to_be_made_keeps_its_key_and_hides_its_buyer() -> None:
    order = NewOrder("ada@example.com", "EUR", [NewLine("BELL", 1, "1.00")])
    assert order.idempotency_key == order.idempotency_key != NewOrder("b", "EUR", []).idempotency_key
    assert "ada@example.com" not in repr(order)


def test_unknown_members_are_ignored_and_missing_or_wrong_ones_are_named_without_their_values() -> None:
    document = {"amount": "1.50", "amount_minor": 150, "currency": "EUR", "added_later": [1]}
    assert read(Amount, document) == Amount(Decimal("1.50"), 150, "EUR")
    for wrong in ({"amount": "secret"}, {"amount_minor": "150"}, {"amount_minor": True}, {"currency": None}):
        with pytest.raises(UnexpectedResponse, match=f"/{next(iter(wrong))}") as unread:
            read(Amount, document | wrong)
        assert "secret" not in str(unread.value)
    with pytest.raises(UnexpectedResponse, match="lacks /currency"):
        read(Amount, {"amount": "1.50", "amount_minor": 150})


def test_a_list_shows_the_newest_token_and_then_those_of_shards_it_may_still_miss() -> None:
    written, order = Consistency(), "/api/v1/orders/019a8b5c-0000-7000-8000-00000000000"
    for number, token in enumerate(("3.10", "7.12", "3.14", "9.8")):
        written.wrote(f"{order}{number}", token)

    assert written.of_list("/orders") == ["3.14", "7.12", "9.8"]
    written.listed("/orders", "3.14", {"x-read-position": "8"})
    assert written.of_list("/orders") == ["7.12"]
    written.listed("/orders", "7.12", {})
    assert written.of_list("/orders") == []
    assert written.of_list("/deliveries") == ["3.14", "7.12", "9.8"]


def test_a_read_of_an_order_shows_the_newest_token_of_that_order() -> None:
    written, order = Consistency(), "/api/v1/orders/019a8b5c-0000-7000-8000-000000000000"
    written.wrote(f"{order}/authorize", "3.14")
    written.wrote(order, "3.10")  # a recorded response, sent again

    assert written.of_order(f"{order}/timeline") == "3.14"
    assert written.of_order(order.replace("019a8b5c", "019A8B5C")) == "3.14"
    assert written.of_order(f"{order[:-1]}1") is None


def test_a_custom_request_follows_the_same_rules() -> None:
    made = requests.request("PATCH", "/api/v1/orders/x", dict, body={"a": 1}, if_match=3)
    assert made.idempotency_key
    assert (made.headers, made.service, made.content) == ({"if-match": '"3"'}, Service.COMMAND, b'{"a":1}')
    assert requests.request("GET", "/api/v1/orders/x", dict).service is Service.QUERY
    assert requests.request("POST", "/api/v1/other", dict).idempotency_key is None
