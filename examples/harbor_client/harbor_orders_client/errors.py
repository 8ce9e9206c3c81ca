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
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from harbor_orders_client.problems import FieldError, Problem

if TYPE_CHECKING:
    from harbor_orders_client.documents.new_orders import NewOrder
    from harbor_orders_client.operations.batches import BatchItem


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
        return self._text("existing_order_id")

    @property
    def current_version(self) -> int | None:
        """Return the version the order has, if it is about that."""
        return self._number("current_version")

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

    def _text(self, member: str) -> str | None:
        found = self.problem.members.get(member)
        return found if isinstance(found, str) else None

    def _texts(self, member: str) -> tuple[str, ...]:
        found = self.problem.members.get(member)
        return tuple(map(str, found)) if isinstance(found, list) else ()

    def _instant(self, member: str) -> datetime | None:
        found = self._text(member)
        return None if found is None else datetime.fromisoformat(found)

    def _number(self, member: str) -> int | None:
        found = self.problem.members.get(member)
        return found if isinstance(found, int) else None


class Unauthorized(ApiError):
    """401: no API key, or one that is malformed, unknown, expired or revoked."""


class Forbidden(ApiError):
    """403: the key does not have the scope this takes, or may not grant what it was asked to."""

    @property
    def required_scopes(self) -> tuple[str, ...]:
        """Return the scopes of which the key needs one, if it lacks them."""
        return self._texts("required_scopes")

    @property
    def grantable_scopes(self) -> tuple[str, ...]:
        """Return the scopes that the key may grant, if it was asked for more."""
        return self._texts("grantable_scopes")


class NotFound(ApiError):
    """404: there is nothing here that this key may see."""


class Conflict(ApiError):
    """409: the order does not allow this now, or something else is in the way."""

    @property
    def current_status(self) -> str | None:
        """Return the status the order has, if it is about that."""
        return self._text("current_status")

    @property
    def allowed_transitions(self) -> tuple[str, ...]:
        """Return the statuses that can be reached from there."""
        return self._texts("allowed_transitions")

    @property
    def requested(self) -> str | None:
        """Return what was asked for: a verb, a status, or a member that cannot be changed any more."""
        return self._text("requested")

    @property
    def key_id(self) -> str | None:
        """Return the API key that is in the way: made before by the same request, or the next of the rotated to end."""
        return self._text("key_id")

    @property
    def ends_at(self) -> datetime | None:
        """Return when that key ends, if it is about rotated keys."""
        return self._instant("ends_at")


class PreconditionFailed(ApiError):
    """412 or 428: read the order again and decide again."""


class ValidationFailed(ApiError):
    """400, 413, 415 or 422: the request is not acceptable, now or later; `errors` names the values.

    Of a key that another request used first (`idempotency_key_mismatch`), `first_used_at` and `differs` say more; of an
    amount that does not fit, `requested_amount` and `available_amount`, in `currency`.
    """

    @property
    def first_used_at(self) -> datetime | None:
        """Return when the key was first used, by another request."""
        return self._instant("first_used_at")

    @property
    def differs(self) -> tuple[str, ...]:
        """Return in what this request is another than the first under its key: `path`, `body`, or both."""
        return self._texts("differs")

    @property
    def requested_amount(self) -> Decimal | None:
        """Return the amount that was asked for."""
        return self._amount("requested_amount")

    @property
    def available_amount(self) -> Decimal | None:
        """Return the amount that there is."""
        return self._amount("available_amount")

    @property
    def currency(self) -> str | None:
        """Return the currency of these amounts."""
        return self._text("currency")

    @property
    def max_commands(self) -> int | None:
        """Return how many orders one batch may have at the partner's rate (`above_rate`)."""
        return self._number("max_commands")

    def _amount(self, member: str) -> Decimal | None:
        found = self._text(member)
        return None if found is None else Decimal(found)


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
