"""How an attempt ended, by the stage that ended it, and what follows: the retry rule is this one table."""

from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """The stable class of an attempt's end; stored, logged and counted."""

    DELIVERED = "delivered"  # 2xx
    REDIRECTED = "redirected"  # 3xx: never followed
    RATE_LIMITED = "rate_limited"  # 429
    GONE = "gone"  # 410: the receiver wants no more
    REJECTED = "rejected"  # any other 4xx, or an answer that is none
    SERVER_ERROR = "server_error"  # 5xx
    TIMEOUT = "timeout"  # silent, dripping or slow
    DNS = "dns"  # the name did not resolve
    CONNECT = "connect"  # refused or unreachable
    TLS = "tls"  # no trusted certificate or no common protocol
    DISCONNECTED = "disconnected"  # reset, or an answer that is not HTTP
    BLOCKED = "blocked"  # an address that must not be dialled


class Verdict(StrEnum):
    """What follows an attempt."""

    DONE = "done"
    RETRY = "retry"
    DISABLE = "disable"  # dead letter, and the endpoint gets nothing more
    MISCONFIGURED = "misconfigured"  # dead letter, and the endpoint waits for its owner to correct it


VERDICTS: Final[dict[Outcome, Verdict]] = {
    Outcome.DELIVERED: Verdict.DONE,
    Outcome.REDIRECTED: Verdict.RETRY,
    Outcome.RATE_LIMITED: Verdict.RETRY,
    Outcome.GONE: Verdict.DISABLE,
    Outcome.REJECTED: Verdict.RETRY,
    Outcome.SERVER_ERROR: Verdict.RETRY,
    Outcome.TIMEOUT: Verdict.RETRY,
    Outcome.DNS: Verdict.RETRY,
    Outcome.CONNECT: Verdict.RETRY,
    Outcome.TLS: Verdict.RETRY,
    Outcome.DISCONNECTED: Verdict.RETRY,
    Outcome.BLOCKED: Verdict.MISCONFIGURED,
}

_GONE: Final = 410
_TOO_MANY: Final = 429


def classify(status: int) -> Outcome:
    """Return the outcome of an HTTP status."""
    match status // 100:
        case 2:
            return Outcome.DELIVERED
        case 3:
            return Outcome.REDIRECTED
        case 5:
            return Outcome.SERVER_ERROR
        case _:
            named = {_GONE: Outcome.GONE, _TOO_MANY: Outcome.RATE_LIMITED}
            return named.get(status, Outcome.REJECTED)
