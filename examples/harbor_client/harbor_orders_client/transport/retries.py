"""The rules of repeating: a request is sent until its outcome is known, with the same key, within bounds.

What is final is never repeated. What may be repeated waits as long as `Retry-After` says, or else exponentially longer
with full jitter (Brooker, "Exponential Backoff And Jitter"), so that clients which failed together do not come back
together. A request that may have been acted on and whose outcome stays open ends as `OutcomeUnknown`, never as a plain
refusal: whoever reads that error knows that nothing was done.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from harbor_orders_client.errors import ApiError, ConnectionFailed, HarborError, OutcomeUnknown, error_of, problem_of
from harbor_orders_client.transport.wire import NoReply, Outcome, Pause, Program, Repeat, Reply, Request, Send

T = TypeVar("T")

_log: Final = logging.getLogger("harbor_orders_client")
_REFUSED_FROM: Final = 300
_SERVER_ERRORS: Final = 500
_NOT_FOUND: Final = 404
_NOTHING_DONE: Final = frozenset({"overloaded", "queue_full", "auth_unavailable"})
"""Codes of 5xx that promise that nothing was done."""

_SETTLES_NOTHING: Final = frozenset({401, 403, 408, 429})
"""Refused before it was looked whether an earlier attempt was acted on."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call may take, and how it waits.

    Attributes:
        timeout_s: seconds for each part of one attempt.
        max_retries: attempts after the first.
        total_timeout_s: seconds for all attempts and pauses of one request together.
        first_pause_s: upper bound of the first pause; it doubles.
        longest_pause_s: where doubling ends.
    """

    timeout_s: float = 10.0
    max_retries: int = 6
    total_timeout_s: float = 60.0
    first_pause_s: float = 0.25
    longest_pause_s: float = 8.0

    def __post_init__(self) -> None:
        if min(self.timeout_s, self.total_timeout_s) <= 0 or self.max_retries < 0:
            raise ValueError("timeouts are more than 0 seconds, and retries 0 or more")


@dataclass(frozen=True, slots=True)
class Rules:
    """Patience, and what is asked of the machine: the time in seconds, and a number from 0 to 1."""

    patience: Patience = Patience()
    monotonic_s: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random


def settle(rules: Rules, request: Request[T], headers: dict[str, str]) -> Program[Reply]:
    """Send a request until its outcome is known; give the successful reply.

    Raises:
        ApiError: it was refused for good, or refused to the end of the patience.
        ConnectionFailed: it never reached the service.
        OutcomeUnknown: it may have been acted on.
    """
    patience, doubt = rules.patience, False
    deadline_s = rules.monotonic_s() + patience.total_timeout_s
    for attempt in range(patience.max_retries + 1):
        left_s = deadline_s - rules.monotonic_s()
        outcome = yield Send(request, headers, max(min(patience.timeout_s, left_s), 0.001))
        if isinstance(outcome, Reply) and _is_done(request, outcome, in_doubt=doubt):
            return outcome
        error = _error(outcome)
        doubt = doubt or _leaves_doubt(request, outcome, error)
        pause_s = _pause_s(rules, error, attempt)
        may_repeat = attempt < patience.max_retries and rules.monotonic_s() + pause_s < deadline_s
        if not (may_repeat and _is_repeatable(request, error, in_doubt=doubt)):
            break
        _log.info("%s %s again in %.2f s: %s", request.method, request.path, pause_s, error)
        yield Pause(pause_s)
    raise _verdict(request, error, in_doubt=doubt)


def _is_done(request: Request[T], reply: Reply, *, in_doubt: bool) -> bool:
    return reply.status < _REFUSED_FROM or (request.is_gone_done and in_doubt and reply.status == _NOT_FOUND)


def _error(outcome: Outcome) -> HarborError:
    if isinstance(outcome, Reply):
        return error_of(problem_of(outcome))
    return ConnectionFailed(outcome.reason if outcome is not None else "nothing was sent")


def _leaves_doubt(request: Request[T], outcome: Outcome, error: HarborError) -> bool:
    """Return whether the service may have acted on this attempt without telling how it ended."""
    if request.is_read:
        return False
    if isinstance(error, ApiError):
        return error.status >= _SERVER_ERRORS and error.code not in _NOTHING_DONE
    return isinstance(outcome, NoReply) and outcome.was_sent


def _is_repeatable(request: Request[T], error: HarborError, *, in_doubt: bool) -> bool:
    if in_doubt and request.repeat is Repeat.UNLESS_IN_DOUBT:
        return False
    return not isinstance(error, ApiError) or error.retryable


def _pause_s(rules: Rules, error: HarborError, attempt: int) -> float:
    """Return the pause before the next attempt: what was asked for, and otherwise anything up to a doubling bound."""
    patience = rules.patience
    if isinstance(error, ApiError) and error.problem.retry_after_s is not None:
        return error.problem.retry_after_s + rules.chance() * patience.first_pause_s
    return rules.chance() * min(patience.first_pause_s * float(2**attempt), patience.longest_pause_s)


def _verdict(request: Request[T], error: HarborError, *, in_doubt: bool) -> HarborError:
    """Return the error to raise. A final refusal under the key settles every attempt before it."""
    is_open = (
        not isinstance(error, ApiError)
        or error.retryable
        or error.status >= _SERVER_ERRORS
        or error.status in _SETTLES_NOTHING
    )
    if in_doubt and is_open:
        return OutcomeUnknown(
            f"{request.method} {request.path} may have been acted on: {error}", request.idempotency_key
        )
    return error
