"""How the client sends many orders: slices, retries of what is open, and when it gives up. No I/O."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from harbor_orders_client import HarborError, OutcomeUnknown, UnexpectedResponse
from harbor_orders_client.operations.batches import BatchRun, SliceSize
from harbor_orders_client.transport.retries import Patience, Rules
from harbor_orders_client.transport.session import Session
from harbor_orders_client.transport.wire import NoReply, Outcome, Program, Reply
from tests.support.services.harbor_clients import Played, drive

LOST = NoReply("reset", was_sent=True)


def sent(outcomes: Sequence[Outcome], count: int = 3, **patience: float) -> tuple[Played, BatchRun[None]]:
    """Send orders whose items are their numbers. Return what happened, and the run with its outcomes."""
    runs: list[BatchRun[None]] = []
    items = [b"%d" % number for number in range(count)]

    def program(rules: Rules) -> Program[None]:
        session = Session("http://a", "http://a", "key", rules, read_your_writes=False)
        runs.append(BatchRun(session, items, lambda _document: None, SliceSize()))
        return runs[0].send()

    return drive(program, outcomes, Rules(Patience(**patience))), runs[0]  # type: ignore[arg-type]  # its numbers


def done(*statuses: int) -> Reply:
    """Return the response to a batch: these statuses, and a problem where they refuse."""
    names = ("idempotency_key", "location", "etag", "consistency_token")
    result: dict[str, Any] = dict.fromkeys(names) | {"replayed": False, "body": {"code": "some_code"}}
    return Reply(207, {}, json.dumps({"results": [result | {"status": status} for status in statuses]}).encode())


def refusal(status: int, **members: object) -> Reply:
    return Reply(status, {}, json.dumps({"code": "some_code", "detail": "Some detail."} | members).encode())


def orders_of(played: Played) -> list[list[int]]:
    return [body["orders"] for body in played.bodies]


@pytest.mark.parametrize("failure", [refusal(503), refusal(429), refusal(408), refusal(500), refusal(502), LOST])
def test_a_slice_that_may_succeed_later_is_sent_again_as_it_was(failure: Outcome) -> None:
    played, run = sent([failure, failure, done(201, 201, 409)])

    assert orders_of(played) == [[0, 1, 2]] * 3
    assert [run.outcomes[place].error is None for place in range(3)] == [True, True, False]


def test_only_orders_whose_outcome_is_unknown_are_sent_again() -> None:
    played, run = sent([done(201, 503, 500), done(503, 422), done(201)])

    assert orders_of(played) == [[0, 1, 2], [1, 2], [1]]
    assert {place: known.error and known.error.status for place, known in run.outcomes.items()} == {
        0: None,
        1: None,
        2: 422,
    }


def test_a_slice_refused_because_of_one_order_is_halved_until_that_order_stands_alone() -> None:
    played, run = sent([refusal(400), done(201, 201), refusal(400), done(201), refusal(400)], count=4)

    assert orders_of(played) == [[0, 1, 2, 3], [0, 1], [2, 3], [2], [3]]
    assert [place for place, known in run.outcomes.items() if known.error] == [3]


def test_a_slice_above_the_rate_is_cut_to_what_the_rate_allows_for_all_that_follows() -> None:
    played, run = sent([refusal(422, max_commands=2), done(201, 201), done(201, 201), done(201)], count=5)

    assert orders_of(played) == [[0, 1, 2, 3, 4], [0, 1], [2, 3], [4]]
    assert run.size.most == 2


@pytest.mark.parametrize("status", [401, 403, 404, 301])
def test_what_will_never_succeed_stops_it_with_the_reason(status: int) -> None:
    played, _ = sent([refusal(status)])

    assert isinstance(played.end, HarborError)
    assert str(played.end).startswith(f"{status} some_code: Some detail")
    assert len(played.sends) == 1


@pytest.mark.parametrize("document", [b"", b"{}", b'{"results": []}', b'{"results": [1, 2, 3]}'])
def test_a_response_that_is_not_understood_stops_it(document: bytes) -> None:
    assert isinstance(sent([Reply(207, {}, document)])[0].end, UnexpectedResponse)


def test_without_progress_it_gives_up_after_the_configured_attempts_or_time() -> None:
    few, _ = sent([done(503, 503, 503)], max_retries=2)
    long, _ = sent([done(503, 503, 503)], max_retries=99, total_timeout_s=25)
    progress, run = sent([done(503, 503, 201), done(503, 201), done(503), done(201)], max_retries=1)

    assert len(few.sends) == 3
    assert 25 - 8 < sum(long.pauses) <= 25 + 8
    assert isinstance(few.end, OutcomeUnknown)
    assert isinstance(long.end, OutcomeUnknown)
    assert (progress.end, len(run.outcomes)) == (None, 3)
