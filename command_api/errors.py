"""What the command side refuses: problems of broken keys and versions, of webhooks, and of the store; `translate`.

Codes are append-only: once published a code keeps its meaning and its status. `command_api.catalogue` collects these
and those of the features; this module imports no feature.
"""

from collections.abc import Iterable
from typing import Final

from domain.order.errors import InvalidCommandError
from infra.event_store.protocol import (
    AppendQueueFullError,
    AppendRejectedError,
    AppendTimeoutError,
    StoreUnavailableError,
)
from infra.http import json_body, problems
from infra.http.problems import FieldError, Member, Problem, ProblemType, pointer

CURRENT_VERSION: Final = Member("current_version", "the order's version, the number in its ETag", 3)
EXISTING_ORDER: Final = Member(
    "existing_order_id", "the order that was there first", "019aaf2e-9d5c-7c3e-8a53-0f6f3b1f2f10"
)
KEY_ID: Final = Member("key_id", "the API key that the refusal is about", "7f3a9c21")

CATALOGUE: Final[tuple[ProblemType, ...]] = (
    *json_body.PROBLEMS,
    # idempotency keys
    IDEMPOTENCY_KEY_REQUIRED := ProblemType(
        "idempotency_key_required",
        400,
        "Idempotency-Key required",
        "Send an Idempotency-Key header: a new one for each command, the same one when that command is sent again.",
    ),
    IDEMPOTENCY_KEY_INVALID := ProblemType(
        "idempotency_key_invalid",
        400,
        "Invalid Idempotency-Key",
        "An Idempotency-Key is 1 to 255 visible ASCII characters, bare or in double quotes.",
    ),
    IDEMPOTENCY_KEY_MISMATCH := ProblemType(
        "idempotency_key_mismatch",
        422,
        "Idempotency-Key used before",
        "This Idempotency-Key belongs to a different request; use a new key for a new command. As far as it is known, "
        "first_used_at says when the key was first used, existing_order_id or key_id for what, and differs in what the "
        "requests differ: path, body, or both. Bodies are compared by their JSON values, so spaces and the order of "
        'members do not count; but "10" is not "10.00", and null or {} is not a member left out.',
        members=(
            Member("first_used_at", "when the key was first used", "2026-11-23T01:02:03.123456Z"),
            Member("differs", "what is certain to differ: `path` (with its method), `body`, or both", ("body",)),
            EXISTING_ORDER,
        ),
    ),
    # what the rules of an order refuse: final, recorded under the key
    DUPLICATE_EXTERNAL_REFERENCE := ProblemType(
        "duplicate_external_reference",
        409,
        "External reference taken",
        "Another of your orders has this external_reference, the one that existing_order_id names; a reference stays "
        "taken forever.",
        members=(EXISTING_ORDER,),
    ),
    # which version a client edits: not recorded, so that the same key may follow the order
    PRECONDITION_REQUIRED := ProblemType(
        "precondition_required",
        428,
        "If-Match required",
        "This request edits an order: send If-Match with the ETag of the version that you have seen.",
    ),
    IF_MATCH_MALFORMED := ProblemType(
        "if_match_malformed",
        400,
        "If-Match malformed",
        'Send the ETag of the version that you have seen, unchanged and with its quotes: "1". "1", "2" is one of them, '
        "* is any.",
    ),
    PRECONDITION_FAILED := ProblemType(
        "precondition_failed",
        412,
        "Order has changed",
        "The order is not at the version that If-Match names; read it again and decide again.",
        members=(CURRENT_VERSION,),
    ),
    # webhooks
    TOO_MANY_WEBHOOK_ENDPOINTS := ProblemType(
        "too_many_webhook_endpoints",
        409,
        "Too many webhook endpoints",
        "A partner has a limited number of webhook endpoints in one mode, 20 unless the operator has set another one: "
        "delete one before you add another.",
    ),
    WEBHOOK_ENDPOINT_NOT_ENABLED := ProblemType(
        "webhook_endpoint_not_enabled",
        409,
        "Webhook endpoint not enabled",
        "The endpoint of this delivery is disabled or misconfigured; nothing is sent to it.",
    ),
    # ours, not the caller's: safe to repeat with the same key
    ORDER_TOO_LARGE := ProblemType(
        "order_too_large", 422, "Order too large", "The order is too large to be kept; nothing was written."
    ),
    CONCURRENT_MODIFICATION := ProblemType(
        "concurrent_modification",
        409,
        "Order is being changed by others",
        "Others changed this order at the same time, several times over; nothing was written. Send the request again.",
        retryable=True,
    ),
    OUTCOME_UNKNOWN := ProblemType(
        "outcome_unknown",
        503,
        "Outcome unknown",
        "The write was not confirmed in time. Retry with the same Idempotency-Key to find out whether it was written.",
        retryable=True,
    ),
    QUEUE_FULL := ProblemType(
        "queue_full", 503, "At capacity", "Too many commands wait; nothing was written. Retry later.", retryable=True
    ),
)
"""The problems that are defined here. Append only."""

_STORE_DOWN = (
    "The event store does not respond. Retry with the same Idempotency-Key to find out whether this was written."
)


def invalid_values(errors: Iterable[FieldError]) -> Problem:
    """Return the 422 that lists broken values; it is not recorded, so a corrected request may reuse the key."""
    return Problem(problems.VALIDATION_FAILED, errors=tuple(errors))


def invalid_command(error: InvalidCommandError) -> Problem:
    """Return the 422 that lists the rules which a command breaks; not recorded either."""
    return invalid_values(FieldError(pointer(each.path), each.code, each.detail) for each in error.violations)


def too_many_webhook_endpoints(limit: int) -> Problem:
    """Return the refusal of an endpoint beyond the limit, which it names."""
    detail = f"A partner has at most {limit} webhook endpoints in one mode: delete one before you add another."
    return Problem(TOO_MANY_WEBHOOK_ENDPOINTS, detail)


def translate(error: Exception) -> Problem | None:
    """Return what the store and the domain raise as a problem; None for what is unexpected.

    After a timeout or a lost connection nobody knows what was written: the response says so, and that the same key
    finds out. It is never a 500, because then a client would not dare to repeat it.
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
