"""The one table of what the command side refuses: code -> problem, for broken bodies, bad keys and broken rules.

Codes are append-only: once published a code keeps its meaning and its status. `catalogue_markdown` writes
docs/errors.md from this table and the one which both services share (`infra.http.problems`).
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from command_api.api_keys import problems as api_key_problems
from command_api.handling.field_codes import FIELD_CODES
from command_api.orders.problems import AMOUNT_PROBLEMS, ORDER_PROBLEMS
from domain.order.errors import InvalidCommandError
from infra.event_store.protocol import (
    AppendQueueFullError,
    AppendRejectedError,
    AppendTimeoutError,
    StoreUnavailableError,
)
from infra.http import json_body, problems
from infra.http.problems import FieldError, Problem, ProblemType

# --- idempotency -----------------------------------------------------------------------------------------------------
IDEMPOTENCY_KEY_REQUIRED: Final = ProblemType(
    "idempotency_key_required",
    400,
    "Idempotency-Key required",
    "Send an Idempotency-Key header: a new one for each command, the same one when that command is sent again.",
)
IDEMPOTENCY_KEY_INVALID: Final = ProblemType(
    "idempotency_key_invalid",
    400,
    "Invalid Idempotency-Key",
    "An Idempotency-Key is 1 to 255 visible ASCII characters, bare or in double quotes.",
)
IDEMPOTENCY_KEY_MISMATCH: Final = ProblemType(
    "idempotency_key_mismatch",
    422,
    "Idempotency-Key used before",
    "This Idempotency-Key belongs to a different request; use a new key for a new command.",
)

# --- what the rules of an order refuse: final, recorded under the key ------------------------------------------------
DUPLICATE_EXTERNAL_REFERENCE: Final = ProblemType(
    "duplicate_external_reference",
    409,
    "External reference taken",
    "Another of your orders has this external_reference; a reference stays taken for ever.",
)

# --- which version a client edits: not recorded, so that the same key may follow the order ---------------------------
PRECONDITION_REQUIRED: Final = ProblemType(
    "precondition_required",
    428,
    "If-Match required",
    "This request edits an order: send If-Match with the ETag of the version that you have seen.",
)
IF_MATCH_MALFORMED: Final = ProblemType(
    "if_match_malformed",
    400,
    "If-Match malformed",
    'Send the ETag of the version that you have seen as it was given, with its quotes: "1".',
)
PRECONDITION_FAILED: Final = ProblemType(
    "precondition_failed",
    412,
    "Order has changed",
    "The order is not at the version that If-Match names; read it again and decide again.",
)

# --- webhooks --------------------------------------------------------------------------------------------------------
TOO_MANY_WEBHOOK_ENDPOINTS: Final = ProblemType(
    "too_many_webhook_endpoints", 409, "Too many webhook endpoints", "Delete an endpoint before you add another one."
)
WEBHOOK_ENDPOINT_NOT_ENABLED: Final = ProblemType(
    "webhook_endpoint_not_enabled",
    409,
    "Webhook endpoint not enabled",
    "The endpoint of this delivery is disabled or misconfigured; nothing is sent to it.",
)

# --- ours, not the caller's: safe to repeat with the same key --------------------------------------------------------
ORDER_TOO_LARGE: Final = ProblemType(
    "order_too_large", 422, "Order too large", "The order is too large to be kept; nothing was written."
)
CONCURRENT_MODIFICATION: Final = ProblemType(
    "concurrent_modification",
    409,
    "Order is being changed by others",
    "Others changed this order at the same time, several times over; nothing was written. Send the request again.",
    retryable=True,
)
OUTCOME_UNKNOWN: Final = ProblemType(
    "outcome_unknown",
    503,
    "Outcome unknown",
    "The write was not confirmed in time. Retry with the same Idempotency-Key: it settles whether it was written.",
    retryable=True,
)
QUEUE_FULL: Final = ProblemType(
    "queue_full", 503, "At capacity", "Too many commands wait; nothing was written. Retry later.", retryable=True
)

CATALOGUE: Final[tuple[ProblemType, ...]] = (
    *json_body.PROBLEMS,
    IDEMPOTENCY_KEY_REQUIRED,
    IDEMPOTENCY_KEY_INVALID,
    IDEMPOTENCY_KEY_MISMATCH,
    DUPLICATE_EXTERNAL_REFERENCE,
    *ORDER_PROBLEMS,
    *AMOUNT_PROBLEMS,
    PRECONDITION_REQUIRED,
    PRECONDITION_FAILED,
    ORDER_TOO_LARGE,
    CONCURRENT_MODIFICATION,
    OUTCOME_UNKNOWN,
    QUEUE_FULL,
    TOO_MANY_WEBHOOK_ENDPOINTS,
    WEBHOOK_ENDPOINT_NOT_ENABLED,
    *api_key_problems.CATALOGUE,
    IF_MATCH_MALFORMED,
)
"""Codes of the command side beside the shared ones. Append only."""

_CATALOGUE_HEAD: Final = """# Errors

Generated from the code; do not edit. Every error is `application/problem+json` (RFC 9457). `code` is for programs: it
never changes its meaning. `retryable`: the same request, with the same Idempotency-Key, may succeed later.

| status | code | title | retryable | detail |
|---|---|---|---|---|"""
_FIELDS_HEAD: Final = """
## Codes inside `errors`

`validation_failed` lists at most 20 broken values, each with a JSON pointer into the body, or to `/query/<parameter>`.

| code | meaning |
|---|---|"""
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_STORE_DOWN = (
    "The event store does not answer. Retry with the same Idempotency-Key: it settles whether this was written."
)


def invalid_values(errors: Iterable[FieldError]) -> Problem:
    """Return the 422 that lists broken values; it is not recorded under the key, so a mended request may reuse it."""
    return Problem(problems.VALIDATION_FAILED, errors=tuple(errors))


def invalid_command(error: InvalidCommandError) -> Problem:
    """Return the 422 that lists the rules which a command breaks; not recorded either."""
    return invalid_values(FieldError(broken.pointer, broken.code, broken.detail) for broken in error.violations)


def translate(error: Exception) -> Problem | None:
    """Return what the store and the domain raise as a problem; None for what nobody expected.

    After a timeout or a lost connection nobody knows what was written: the answer says so, and that the same key
    settles it. It is never a 500, because then a client would not dare to repeat it.
    """
    match error:
        case AppendQueueFullError():
            return Problem(QUEUE_FULL)
        case AppendRejectedError():
            return Problem(ORDER_TOO_LARGE)
        case AppendTimeoutError():
            return Problem(OUTCOME_UNKNOWN)
        case StoreUnavailableError():
            return Problem(problems.STORE_UNAVAILABLE, _STORE_DOWN)
        case InvalidCommandError():
            return invalid_command(error)
    return None


def catalogue_markdown(others: Iterable[ProblemType] = (), other_fields: Mapping[str, str] = _NOTHING) -> str:
    """Return docs/errors.md: every code that either service answers, by status, then the codes inside `errors`.

    `others` are problem types that live beside their routes, `other_fields` codes inside `errors` with what they
    mean. A code in two tables must mean the same in both.

    Raises:
        ValueError: one code with two meanings.
    """
    kinds: dict[str, ProblemType] = {}
    for kind in (*problems.CATALOGUE, *CATALOGUE, *others):
        if kinds.setdefault(kind.code, kind) != kind:
            raise ValueError(f"the code {kind.code} has two meanings")
    rows = [
        f"| {kind.status} | `{kind.code}` | {kind.title} | {'yes' if kind.retryable else 'no'} | {kind.detail} |"
        for kind in sorted(kinds.values(), key=lambda kind: (kind.status, kind.code))
    ]
    meanings = dict(FIELD_CODES)
    for code, meaning in other_fields.items():
        if meanings.setdefault(code, meaning) != meaning:
            raise ValueError(f"the code {code} has two meanings")
    fields = [f"| `{code}` | {meaning} |" for code, meaning in sorted(meanings.items())]
    return "\n".join([_CATALOGUE_HEAD, *rows, _FIELDS_HEAD, *fields, ""])
