"""Everything this client raises.

    HarborError
    |- ApiError                  the service refused; carries its problem document
    |  |- Unauthorized           401  no key, or one that is not valid
    |  |- Forbidden              403  the key lacks a scope
    |  |- NotFound               404  not there, or not yours
    |  |- Conflict               409  the order does not allow it: current_status, allowed_transitions
    |  |- PreconditionFailed     412, 428  the order is not at the version that was named
    |  |- ValidationFailed       400, 413, 415, 422  what was sent is not acceptable: errors
    |  |- RateLimited            429  and the time to wait is more than there was
    |  `- Unavailable            5xx  and it stayed so
    |- ConnectionFailed          the request never reached the service
    |- OutcomeUnknown            it may have been acted on: send it again with idempotency_key
    |- UnexpectedResponse          a success that is not what the API promises
    |- BatchInterrupted          create_many could not go on: results so far, remaining orders
    `- WebhookNotVerified        a webhook that is not signed with your secret, or too old

All can be pickled. None holds an API key or a secret, in its text or in what it refers to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from harbor_orders_client.documents import exact
from harbor_orders_client.transport.wire import Reply

if TYPE_CHECKING:
    from harbor_orders_client.documents.new_orders import NewOrder
    from harbor_orders_client.operations.batches import BatchItem

_KNOWN: Final = frozenset(
    {"type", "title", "status", "detail", "instance", "code", "request_id", "retryable", "errors", "errors_omitted"}
)
_RETRYABLE_WITHOUT_WORD: Final = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one value; `pointer` is a JSON pointer into the body, or `/query/<parameter>`."""

    pointer: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal as the service words it (RFC 9457); `members` are those that depend on `code`.

    `errors_omitted`: how many more broken values there are than `errors` lists.
    """

    status: int
    code: str
    detail: str
    request_id: str
    retryable: bool
    errors: tuple[FieldError, ...] = ()
    members: Mapping[str, Any] = field(default_factory=dict)
    retry_after_s: float | None = None
    errors_omitted: int = 0


class HarborError(Exception):
    """Anything that went wrong."""


class ApiError(HarborError):
    """The service refused. `code` is stable and for programs; the list is docs/errors.md."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return self.problem.status

    @property
    def code(self) -> str:
        """Return the stable code; `http_502` where something in between responded instead of the service."""
        return self.problem.code

    @property
    def detail(self) -> str:
        """Return the sentence for people."""
        return self.problem.detail

    @property
    def request_id(self) -> str:
        """Return the id to report."""
        return self.problem.request_id

    @property
    def errors(self) -> tuple[FieldError, ...]:
        """Return the broken values, 20 at most; `errors_omitted` are not among them."""
        return self.problem.errors

    @property
    def existing_order_id(self) -> str | None:
        """Return the order that has this external reference, or for which the key was first used, if it names one."""
        found = self.problem.members.get("existing_order_id")
        return found if isinstance(found, str) else None

    @property
    def errors_omitted(self) -> int:
        """Return how many more broken values there are."""
        return self.problem.errors_omitted

    @property
    def retryable(self) -> bool:
        """Return whether the same request may succeed later; this client has then tried for as long as it may."""
        return self.problem.retryable

    def __str__(self) -> str:
        broken = "".join(f"; {each.pointer}: {each.code}: {each.detail}" for each in self.errors)
        if self.errors_omitted:
            broken += f"; and {self.errors_omitted} more"
        return f"{self.status} {self.code}: {self.detail}{broken} (request {self.request_id or 'without id'})"


class Unauthorized(ApiError):
    """401: no API key, or one that is malformed, unknown, expired or revoked."""


class Forbidden(ApiError):
    """403: the key does not have the scope this takes."""


class NotFound(ApiError):
    """404: there is nothing here that this key may see."""


class Conflict(ApiError):
    """409: the order does not allow this now."""

    @property
    def current_status(self) -> str | None:
        """Return the status the order has, if it is about that."""
        found = self.problem.members.get("current_status")
        return found if isinstance(found, str) else None

    @property
    def allowed_transitions(self) -> tuple[str, ...]:
        """Return the statuses that can be reached from there."""
        found = self.problem.members.get("allowed_transitions")
        return tuple(map(str, found)) if isinstance(found, list) else ()


class PreconditionFailed(ApiError):
    """412 or 428: read the order again and decide again."""


class ValidationFailed(ApiError):
    """400, 413, 415 or 422: the request is not acceptable, now or later; `errors` names the values.

    Of a key that another request used first (`idempotency_key_mismatch`), `first_used_at` and `differs` say more.
    """

    @property
    def first_used_at(self) -> datetime | None:
        """Return when the key was first used, by another request."""
        found = self.problem.members.get("first_used_at")
        return datetime.fromisoformat(found) if isinstance(found, str) else None

    @property
    def differs(self) -> tuple[str, ...]:
        """Return in what this request is another than the first under its key: `path`, `body`, or both."""
        found = self.problem.members.get("differs")
        return tuple(map(str, found)) if isinstance(found, list) else ()


class RateLimited(ApiError):
    """429: the rate is used up for longer than this client may wait."""

    @property
    def retry_after_s(self) -> float | None:
        """Return the seconds after which there is room again."""
        return self.problem.retry_after_s


class Unavailable(ApiError):
    """5xx: the service did not recover for as long as this client may wait."""


class ConnectionFailed(HarborError):
    """The service could not be reached; nothing was done."""


class OutcomeUnknown(HarborError):
    """The request may have been acted on. Sending it again with `idempotency_key` finds out and never does it twice.

    `idempotency_key` is None for the few requests that take none: check whether it was done before you repeat it.
    """

    def __init__(self, reason: str, idempotency_key: str | None) -> None:
        super().__init__(reason, idempotency_key)
        self.reason = reason
        self.idempotency_key = idempotency_key

    def __str__(self) -> str:
        if self.idempotency_key is None:
            return f"{self.reason}; check whether it was done before you repeat it"
        return f"{self.reason}; repeat it with idempotency_key={self.idempotency_key!r}"


class UnexpectedResponse(HarborError):
    """A success without the document that the API promises: is this the address of the service?"""


class BatchInterrupted(HarborError):
    """`create_many` could not go on; `__cause__` is why.

    `results` are the orders whose outcome is known. Pass `remaining` to `create_many` again: each order keeps its key,
    so none is made twice.
    """

    def __init__(self, reason: str, results: "Sequence[BatchItem]", remaining: "Sequence[NewOrder]") -> None:
        super().__init__(reason, results, remaining)
        self.reason = reason
        self.results = list(results)
        self.remaining = list(remaining)

    def __str__(self) -> str:
        return f"{len(self.results)} orders done, {len(self.remaining)} not: {self.reason}"


class WebhookNotVerified(HarborError):
    """Do not act on it; respond with 400."""


_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    400: ValidationFailed,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    413: ValidationFailed,
    415: ValidationFailed,
    422: ValidationFailed,
    428: PreconditionFailed,
    429: RateLimited,
}
_SERVER_ERRORS: Final = 500


def error_of(problem: Problem) -> ApiError:
    """Return the error of a problem."""
    other = Unavailable if problem.status >= _SERVER_ERRORS else ApiError
    return _BY_STATUS.get(problem.status, other)(problem)


def problem_of(reply: Reply) -> Problem:
    """Read a refusal; also one that is not a problem document, from something in between."""
    document = _object(reply.content)
    return problem_from(
        reply.status, document, reply.headers.get("x-request-id", ""), _seconds(reply.headers.get("retry-after"))
    )


def problem_from(
    status: int, document: Mapping[str, Any], request_id: str = "", retry_after_s: float | None = None
) -> Problem:
    """Make a problem of its document; what is missing or of another type gets a default."""
    retryable = document.get("retryable")
    omitted = document.get("errors_omitted")
    return Problem(
        status=status,
        code=str(document.get("code") or f"http_{status}"),
        detail=str(document.get("detail") or "The response does not say why."),
        request_id=str(document.get("request_id") or request_id),
        retryable=retryable if isinstance(retryable, bool) else status in _RETRYABLE_WITHOUT_WORD,
        errors=_field_errors(document.get("errors")),
        members={name: value for name, value in document.items() if name not in _KNOWN},
        retry_after_s=retry_after_s,
        errors_omitted=omitted if isinstance(omitted, int) else 0,
    )


def _field_errors(found: object) -> tuple[FieldError, ...]:
    errors = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return tuple(FieldError(*(str(each.get(name, "")) for name in ("pointer", "code", "detail"))) for each in errors)


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = exact.parse(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(header: str | None) -> float | None:
    """Read a Retry-After of whole seconds; a date would trust two clocks to agree."""
    return float(header) if header is not None and header.isascii() and header.isdecimal() else None
