"""How an attempt ended, by the stage that ended it, and what follows: the retry rule is this table."""

from enum import StrEnum
from typing import Final


class AttemptOutcome(StrEnum):
    """The stable class of an attempt's end; stored, logged and counted."""

    DELIVERED = "delivered"  # 2xx
    REDIRECTED = "redirected"  # 3xx: never followed
    RATE_LIMITED = "rate_limited"  # 429
    GONE = "gone"  # 410: the receiver wants no more webhooks
    REJECTED = "rejected"  # any other status
    SERVER_ERROR = "server_error"  # 5xx
    TIMEOUT = "timeout"  # silent, dripping or slow
    DNS = "dns"  # the name did not resolve
    CONNECT = "connect"  # refused or unreachable
    TLS = "tls"  # no trusted certificate or no common protocol
    DISCONNECTED = "disconnected"  # reset, or a response that is not HTTP
    BLOCKED = "blocked"  # an address that must not be dialled


class Verdict(StrEnum):
    """What follows an attempt."""

    DONE = "done"
    RETRY = "retry"
    DISABLE = "disable"  # dead letter; the endpoint gets no more webhooks
    MISCONFIGURED = "misconfigured"  # dead letter; the endpoint waits until its owner corrects it


VERDICTS: Final = dict.fromkeys(AttemptOutcome, Verdict.RETRY) | {
    AttemptOutcome.DELIVERED: Verdict.DONE,
    AttemptOutcome.GONE: Verdict.DISABLE,
    AttemptOutcome.BLOCKED: Verdict.MISCONFIGURED,
}
"""What follows each outcome: another attempt, but for these three."""

_GONE: Final = 410
_TOO_MANY: Final = 429


def classify(status: int) -> AttemptOutcome:
    """Return the outcome of an HTTP status."""
    match status // 100:
        case 2:
            return AttemptOutcome.DELIVERED
        case 3:
            return AttemptOutcome.REDIRECTED
        case 5:
            return AttemptOutcome.SERVER_ERROR
        case _:
            named = {_GONE: AttemptOutcome.GONE, _TOO_MANY: AttemptOutcome.RATE_LIMITED}
            return named.get(status, AttemptOutcome.REJECTED)
