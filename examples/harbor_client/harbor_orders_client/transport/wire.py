"""What goes over the wire, without any I/O: requests, replies, and the two steps that a program asks its client for.

A *program* is a generator: it yields `Send` and `Pause`, is sent what came of it, and returns its result. The rules
(retries, paging, batches) are programs and exist once; a client runs them by blocking or by awaiting.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Service(Enum):
    """Which of the two services responds to a request."""

    COMMAND = "command"
    QUERY = "query"


class Repeat(Enum):
    """Whether a request may be sent again when nobody knows whether it was acted on."""

    ALWAYS = "always"
    """It reads, or it carries an Idempotency-Key, or doing it twice is doing it once."""
    UNLESS_IN_DOUBT = "unless_in_doubt"
    """Twice would be two of them."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response, read to its end. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NoReply:
    """No response. `was_sent`: the service may have acted on the request all the same."""

    reason: str
    was_sent: bool


@dataclass(frozen=True, slots=True)
class Request(Generic[T_co]):
    """One request, to be sent as often as it takes, and how its response is read.

    Attributes:
        method: of HTTP.
        path: from `/api` on.
        read: makes the result of a successful reply.
        service: which service responds to it.
        content: the JSON body; empty: none.
        query: parameters of the address.
        headers: besides those that every request has; never a secret.
        idempotency_key: the same for every attempt.
        repeat: whether it may be sent again when its outcome is unknown.
        is_read: whether it changes nothing.
        is_gone_done: whether a 404 after an attempt without a response means that the attempt was acted on.
    """

    method: str
    path: str
    read: Callable[[Reply], T_co]
    service: Service = Service.COMMAND
    content: bytes = field(default=b"", repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    repeat: Repeat = Repeat.ALWAYS
    is_read: bool = False
    is_gone_done: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """A step: send this once, wait at most `timeout_s` seconds for each part of it, and pass on the outcome."""

    request: Request[object]
    headers: Mapping[str, str]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Pause:
    """A step: continue after so many seconds."""

    seconds: float


Step: TypeAlias = Send | Pause
Outcome: TypeAlias = Reply | NoReply | None
"""What a program is sent: the outcome of a `Send`, None after a `Pause` and at its start."""

Program: TypeAlias = Generator[Step, Outcome, T]


@dataclass(frozen=True, slots=True)
class Finished(Generic[T_co]):
    """The end of a program."""

    result: T_co


def advance(program: Program[T], outcome: Outcome) -> Step | Finished[T]:
    """Send an outcome into a program. Return what it asks for next, or its result; raise what it raises."""
    try:
        return program.send(outcome)
    except StopIteration as end:
        return Finished(end.value)
