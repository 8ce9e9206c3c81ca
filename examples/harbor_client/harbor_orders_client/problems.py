"""Refusals as the services word them: problem documents (RFC 9457), and what something in between sends instead."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from harbor_orders_client.documents import exact
from harbor_orders_client.transport.wire import Reply

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
