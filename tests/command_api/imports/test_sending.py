"""A slice is sent, with the same keys, until the outcome of every order is known or there is no hope."""

from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from command_api.imports.lines import OrderLine
from command_api.imports.sending import AbortError, Contact, Patience, Reply, settle
from infra import clock

ORDERS = [OrderLine(number, f"k-{number}", b"{}", is_key_derived=False) for number in range(3)]
PATIENT = Patience(give_up_s=90.0, unreached_s=90.0, first_pause_s=0.001)


@dataclass
class ScriptedService:
    """Answers with the given replies, one after the other; the last one for ever."""

    replies: list[Reply | Exception]
    asked: list[list[str]] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)

    async def post(self, body: bytes) -> Reply:
        self.asked.append([item["idempotency_key"] for item in orjson.loads(body)["orders"]])
        self.at_s.append(clock.monotonic_s())
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply


def result(status: int, *, replayed: bool = False) -> dict[str, Any]:
    return {"status": status, "replayed": replayed, "body": {"code": "some_code"}}


def answered(*statuses: int) -> Reply:
    return Reply(207, None, {"results": [result(status) for status in statuses]})


FAILURES: list[Reply | Exception] = [
    Reply(503, None, {"code": "queue_full"}),
    Reply(429, 0.0, {"code": "rate_limited"}),
    Reply(408, None),
    Reply(500, None),
    Reply(502, None),
    ConnectionResetError("reset"),
    TimeoutError(),
]


@pytest.mark.parametrize("failure", FAILURES, ids=repr)
async def test_what_may_succeed_later_is_sent_again_with_the_same_keys(failure: Reply | Exception) -> None:
    service = ScriptedService([failure, failure, answered(201, 201, 409)])

    outcomes = await settle(service, ORDERS, PATIENT)

    assert service.asked == [["k-0", "k-1", "k-2"]] * 3
    assert [(each.line.number, each.status) for each in outcomes] == [(0, 201), (1, 201), (2, 409)]
    assert [each.problem for each in outcomes] == [None, None, {"code": "some_code"}]


async def test_only_orders_whose_outcome_is_unknown_are_sent_again() -> None:
    service = ScriptedService([answered(201, 503, 500), answered(503, 422), answered(201)])

    outcomes = await settle(service, ORDERS, PATIENT)

    assert service.asked == [["k-0", "k-1", "k-2"], ["k-1", "k-2"], ["k-1"]]
    assert [(each.line.number, each.status) for each in outcomes] == [(0, 201), (2, 422), (1, 201)]


async def test_it_waits_as_long_as_it_is_told() -> None:
    service = ScriptedService([Reply(503, 0.1), answered(201, 201, 201)])

    await settle(service, ORDERS, PATIENT)

    first_s, second_s = service.at_s
    assert second_s - first_s >= 0.1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 301])
async def test_what_will_never_succeed_stops_the_import_with_the_reason(status: int) -> None:
    service = ScriptedService([Reply(status, None, {"code": "some_code", "detail": "Some detail."})])

    with pytest.raises(AbortError, match=f"{status} some_code: Some detail"):
        await settle(service, ORDERS, PATIENT)


@pytest.mark.parametrize("document", [{}, {"results": []}, {"results": [1, 2, 3]}, {"results": [{}, {}, {}]}])
async def test_an_answer_that_is_not_understood_stops_the_import(document: dict[str, Any]) -> None:
    with pytest.raises(AbortError, match="no answer to a batch"):
        await settle(ScriptedService([Reply(207, None, document)]), ORDERS, PATIENT)


async def test_what_was_never_reached_is_given_up_sooner() -> None:
    soon = Patience(give_up_s=60.0, unreached_s=0.05, first_pause_s=0.001)

    with pytest.raises(AbortError, match=r"no progress for 0\.05 s: away"):
        await settle(ScriptedService([ConnectionRefusedError("away")]), ORDERS, soon)


@pytest.mark.parametrize("contact", [Reply(503, None), ConnectionResetError("reset"), TimeoutError()])
async def test_what_was_reached_once_has_all_the_patience(contact: Reply | Exception) -> None:
    patience = Patience(give_up_s=60.0, unreached_s=0.0, first_pause_s=0.001)
    service = ScriptedService([contact, ConnectionRefusedError("away"), answered(201, 201, 201)])

    assert len(await settle(service, ORDERS, patience)) == 3


async def test_trouble_is_told_once_until_there_is_an_answer_again() -> None:
    told: list[str] = []
    away, busy = ConnectionRefusedError("away"), Reply(503, None)
    service = ScriptedService([away, away, busy, away, answered(201, 201, 201)])

    await settle(service, ORDERS, Patience(90.0, unreached_s=50.0, first_pause_s=0.001), Contact(told.append))

    assert told == [
        "away; trying for 50 s (is it up? make up DETACH=1)",
        "away; trying for 90 s (is it up? make up DETACH=1)",
    ]


@pytest.mark.parametrize("failure", [ConnectionRefusedError("refused"), Reply(503, None), answered(503, 503, 503)])
async def test_without_progress_for_too_long_it_gives_up(
    failure: Reply | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = ScriptedService([failure])
    monkeypatch.setattr(clock, "monotonic_s", lambda: 10.0 * len(service.asked))  # ten seconds for each attempt

    with pytest.raises(AbortError, match="no progress for 25 s"):
        await settle(service, ORDERS, Patience(give_up_s=25.0, unreached_s=25.0, first_pause_s=0.001))

    assert len(service.asked) == 3
