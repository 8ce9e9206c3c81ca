"""The rules of retrying: a request is sent until its outcome is known, with the same key, within bounds.

What is final is never repeated. What may be repeated waits as long as `Retry-After` says, or else exponentially longer
with full jitter (Brooker, "Exponential Backoff And Jitter"), so that clients which failed together do not come back
together. A change that may have been made and whose outcome stays open ends as `OutcomeUnknown`, never as a plain
refusal: a plain refusal means that nothing was done.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from harbor_orders_client.errors import ApiError, ConnectionFailed, HarborError, OutcomeUnknown, error_of
from harbor_orders_client.problems import problem_of
from harbor_orders_client.transport.wire import NoReply, Outcome, Pause, Program, Repeat, Reply, Request, Send

T = TypeVar("T")

_log: Final = logging.getLogger("harbor_orders_client")
_REFUSED_FROM: Final = 300
_SERVER_ERRORS: Final = 500
_NOT_FOUND: Final = 404
_MOST_DOUBLINGS: Final = 16
_NOTHING_DONE: Final = frozenset({"overloaded", "queue_full", "auth_unavailable"})
"""Codes of 5xx that promise that nothing was done."""

_LEAVES_OPEN: Final = frozenset({401, 403, 408, 429})
"""Refused before the service looked whether an earlier attempt was acted on."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call may take, and how it waits.

    Attributes:
        timeout_s: seconds for each part of one attempt.
        max_retries: attempts after the first.
        total_timeout_s: seconds for all attempts and pauses of one request together.
        first_pause_s: upper bound of the first pause; it doubles.
        longest_pause_s: where doubling ends.
        unreached_timeout_s: replaces `total_timeout_s` while the service was never reached; None: it does not.
    """

    timeout_s: float = 10.0
    max_retries: int = 6
    total_timeout_s: float = 60.0
    first_pause_s: float = 0.25
    longest_pause_s: float = 8.0
    unreached_timeout_s: float | None = None

    def __post_init__(self) -> None:
        if min(self.timeout_s, self.total_timeout_s) <= 0 or self.max_retries < 0:
            raise ValueError("timeouts are more than 0 seconds, and retries 0 or more")


@dataclass(slots=True)
class Contact:
    """Whether the service was ever reached, shared by all requests of a client.

    `report` gets a sentence when a request gets no response; the next one only after a response arrived.
    """

    report: Callable[[str], None] = lambda _line: None
    is_reached: bool = False
    _is_reported: bool = False

    def allowed_s(self, patience: Patience) -> float:
        """Return the seconds that one request may take, as far as is known now."""
        if self.is_reached or patience.unreached_timeout_s is None:
            return patience.total_timeout_s
        return min(patience.unreached_timeout_s, patience.total_timeout_s)

    def note(self, outcome: Outcome, patience: Patience) -> None:
        """Note the outcome of an attempt."""
        is_lost = isinstance(outcome, NoReply)
        self.is_reached = self.is_reached or not isinstance(outcome, NoReply) or outcome.was_sent
        if isinstance(outcome, NoReply) and not self._is_reported:
            hint = "" if outcome.was_sent else " (is it up? make up DETACH=1 starts the local one)"
            self.report(f"{outcome.reason}; trying for up to {self.allowed_s(patience):g} s{hint}")
        self._is_reported = is_lost


@dataclass(frozen=True, slots=True)
class Rules:
    """Patience, contact, and what is asked of the machine: the time in seconds, and a number from 0 to 1."""

    patience: Patience = Patience()
    monotonic_s: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    contact: Contact = field(default_factory=Contact)

    def backoff_s(self, attempt: int) -> float:
        """Return a pause before the next attempt: anything up to a doubling bound."""
        bound_s = self.patience.first_pause_s * float(2 ** min(attempt, _MOST_DOUBLINGS))
        return self.chance() * min(bound_s, self.patience.longest_pause_s)


def send_until_known(rules: Rules, request: Request[T], headers: dict[str, str]) -> Program[Reply]:
    """Send a request until its outcome is known. Return the successful reply.

    Raises:
        ApiError: it was refused for good, or refused to the end of the patience.
        ConnectionFailed: it never reached the service.
        OutcomeUnknown: it may have been acted on.
    """
    patience, in_doubt = rules.patience, False
    started_s = rules.monotonic_s()
    for attempt in range(patience.max_retries + 1):
        left_s = started_s + rules.contact.allowed_s(patience) - rules.monotonic_s()
        outcome = yield Send(request, headers, max(min(patience.timeout_s, left_s), 0.001))
        rules.contact.note(outcome, patience)
        if isinstance(outcome, Reply) and _is_done(request, outcome, in_doubt=in_doubt):
            return outcome
        error = _error(outcome)
        in_doubt = in_doubt or _leaves_doubt(request, outcome, error)
        pause_s = _pause_s(rules, error, attempt)
        is_time = rules.monotonic_s() + pause_s < started_s + rules.contact.allowed_s(patience)
        if attempt == patience.max_retries or not is_time or not _is_repeatable(request, error, in_doubt=in_doubt):
            break
        _log.info("%s %s again in %.2f s: %s", request.method, request.path, pause_s, error)
        yield Pause(pause_s)
    raise _verdict(request, error, in_doubt=in_doubt)


def _is_done(request: Request[T], reply: Reply, *, in_doubt: bool) -> bool:
    return reply.status < _REFUSED_FROM or (request.is_gone_done and in_doubt and reply.status == _NOT_FOUND)


def _error(outcome: Outcome) -> HarborError:
    if isinstance(outcome, Reply):
        return error_of(problem_of(outcome))
    return ConnectionFailed(outcome.reason if outcome is not None else "nothing was sent")


def _leaves_doubt(request: Request[T], outcome: Outcome, error: HarborError) -> bool:
    """Return whether the service may have acted on this attempt without saying how it ended."""
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
    """Return the pause before the next attempt: what was asked for and a little more, or the backoff."""
    if isinstance(error, ApiError) and error.problem.retry_after_s is not None:
        return error.problem.retry_after_s + rules.chance() * rules.patience.first_pause_s
    return rules.backoff_s(attempt)


def _verdict(request: Request[T], error: HarborError, *, in_doubt: bool) -> HarborError:
    """Return the error to raise. A final refusal under the key decides every attempt before it."""
    is_open = (
        not isinstance(error, ApiError)
        or error.retryable
        or error.status >= _SERVER_ERRORS
        or error.status in _LEAVES_OPEN
    )
    if in_doubt and is_open:
        return OutcomeUnknown(
            f"{request.method} {request.path} may have been acted on: {error}", request.idempotency_key
        )
    return error
