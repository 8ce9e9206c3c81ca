"""Errors over HTTP: RFC 9457 problem documents with a stable code, drawn from a catalogue.

A service refuses by raising `Problem` with one of its `ProblemType`s; the request middleware renders it.
Codes are for programs and never change their meaning; titles and details are for people. What a client sent is never
repeated in a response, so a response cannot carry somebody else's script or secret; only a pointer holds names that a
client chose, as far as they are short and plain.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

PROBLEM_JSON: Final = b"application/problem+json"
MAX_PROBLEM_BYTES: Final = 4096
MAX_ERRORS: Final = 20
_MAX_POINTER: Final = 120
_MAX_INSTANCE: Final = 200
_RETRY_AFTER_S: Final = "1"
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.~/ -]{1,40}", re.ASCII)

MemberValue = str | int | bool | None | list[str]
"""What an extension member of a problem may hold."""


@dataclass(frozen=True, slots=True)
class Member:
    """An extension member that problems of some types have, as it is documented."""

    name: str
    meaning: str
    example: str | int | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One entry of the catalogue. `retryable`: the same request may succeed later without being changed."""

    code: str
    status: int
    title: str
    detail: str
    retryable: bool = False
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one part of a request.

    `pointer` is a JSON pointer (RFC 6901) into the body (`/lines/0/sku`), or `/query/<name>`, `/header/<name>`.
    """

    pointer: str
    code: str
    detail: str


class Problem(Exception):  # noqa: N818  # RFC 9457 calls it a problem
    """A refusal. `headers` go out with the response; `members` are extension members of the document.

    `more_errors`: how many errors were found besides `errors`.
    """

    def __init__(
        self,
        kind: ProblemType,
        detail: str | None = None,
        *,
        errors: tuple[FieldError, ...] = (),
        more_errors: int = 0,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, MemberValue] | None = None,
    ) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.detail = detail or kind.detail
        self.errors = errors
        self.more_errors = more_errors
        self.headers = dict(headers or {})
        self.members = dict(members or {})
        if kind.status in {429, 503}:
            self.headers.setdefault("retry-after", _RETRY_AFTER_S)


def pointer(path: Iterable[int | str]) -> str:
    """Return the JSON pointer (RFC 6901) of a path, or of the object above a name that is not short and plain.

    >>> pointer(["metadata", "a/b"]), pointer(["metadata", "<b>"])
    ('/metadata/a~1b', '/metadata')
    """
    text = ""
    for step in path:
        if isinstance(step, str):
            if not _PLAIN_NAME.fullmatch(step):
                break
            step = step.replace("~", "~0").replace("/", "~1")  # noqa: PLW2901  # as it is written in a pointer
        text += f"/{step}"
    return text


def body_too_large(max_bytes: int) -> Problem:
    """Return the refusal of a body, with what would be taken."""
    return Problem(BODY_TOO_LARGE, f"The request body is larger than this service takes: {max_bytes:,} bytes.")


def type_of(code: str) -> str:
    """Return the `type` of a problem: the page about it, at either service."""
    return f"/errors/{code}"


def request_urn(request_id: str) -> str:
    """Return the `instance` of a problem with a request that reached no address of ours."""
    return f"urn:request:{request_id}"


def render(problem: Problem, instance: str, request_id: str) -> bytes:
    """Return the problem document, at most `MAX_PROBLEM_BYTES` long: errors are dropped from the end to fit.

    `errors_omitted` says how many were.
    """
    errors = problem.errors[:MAX_ERRORS]
    while True:
        body = orjson.dumps(document_of(problem, errors, instance, request_id))
        if len(body) <= MAX_PROBLEM_BYTES or not errors:
            return body
        errors = errors[:-1]


def document_of(problem: Problem, errors: tuple[FieldError, ...], instance: str, request_id: str) -> dict[str, object]:
    """Return a problem as a document with these of its errors."""
    kind = problem.kind
    document: dict[str, object] = {
        "type": type_of(kind.code),
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail,
        "instance": instance[:_MAX_INSTANCE],
        "code": kind.code,
        "request_id": request_id,
        "retryable": kind.retryable,
        **problem.members,
    }
    if errors:
        document["errors"] = [
            {"pointer": error.pointer[:_MAX_POINTER], "code": error.code, "detail": error.detail} for error in errors
        ]
    omitted = problem.more_errors + len(problem.errors) - len(errors)
    if omitted > 0:
        document["errors_omitted"] = omitted
    return document


EVERY_ROUTE: Final[tuple[ProblemType, ...]] = (
    MALFORMED_REQUEST := ProblemType(
        "malformed_request", 400, "Malformed request", "The request is not well-formed HTTP."
    ),
    HOST_INVALID := ProblemType(
        "host_invalid", 400, "Host header invalid", "A request carries exactly one Host header."
    ),
    HEADER_REPEATED := ProblemType(
        "header_repeated", 400, "Header sent twice", "A header that may be sent once was sent more than once."
    ),
    FRAMING_AMBIGUOUS := ProblemType(
        "framing_ambiguous",
        400,
        "Length of the body is ambiguous",
        "Send Content-Length or Transfer-Encoding, not both.",
    ),
    CREDENTIALS_AMBIGUOUS := ProblemType(
        "credentials_ambiguous", 400, "Two credentials", "Send Authorization or X-API-Key, not both."
    ),
    API_KEY_MISSING := ProblemType(
        "api_key_missing", 401, "API key missing", "Send an API key as 'Authorization: Bearer <key>'."
    ),
    API_KEY_MALFORMED := ProblemType(
        "api_key_malformed",
        401,
        "API key malformed",
        "The API key is not one this service issued, or not all of it: hbr_test_ or hbr_live_, 8 letters and digits, _ "
        "and 36 more.",
    ),
    API_KEY_INVALID := ProblemType(
        "api_key_invalid", 401, "API key not valid", "The API key is unknown, expired or revoked."
    ),
    SCOPE_MISSING := ProblemType(
        "scope_missing",
        403,
        "Scope missing",
        "The API key does not have the scope this request needs.",
        members=(Member("required_scopes", "any one of these scopes opens the route", ("orders:write",)),),
    ),
    NOT_ACCEPTABLE := ProblemType(
        "not_acceptable", 406, "Not acceptable", "Responses are application/json; the Accept header excludes that."
    ),
    BODY_TOO_LARGE := ProblemType(
        "body_too_large", 413, "Body too large", "The request body is larger than this service takes."
    ),
    CONTENT_ENCODING_UNSUPPORTED := ProblemType(
        "content_encoding_unsupported", 415, "Content encoding not supported", "Send the body without Content-Encoding."
    ),
    VALIDATION_FAILED := ProblemType(
        "validation_failed", 422, "Validation failed", "One or more values are not acceptable; see errors."
    ),
    RATE_LIMITED := ProblemType(
        "rate_limited",
        429,
        "Too many requests",
        "This partner has used up its rate; Retry-After says when.",
        retryable=True,
    ),
    HEADERS_TOO_LARGE := ProblemType(
        "headers_too_large", 431, "Headers too large", "All headers together are larger than this service takes."
    ),
    INTERNAL_ERROR := ProblemType(
        "internal_error", 500, "Internal error", "Something went wrong here; report the request id.", retryable=True
    ),
    OVERLOADED := ProblemType(
        "overloaded", 503, "Overloaded", "The service handles as many requests as it can; try again.", retryable=True
    ),
    DEADLINE_EXCEEDED := ProblemType(
        "deadline_exceeded",
        503,
        "Deadline exceeded",
        "No response in time. A change may have been made: repeat it with the same Idempotency-Key.",
        retryable=True,
    ),
    AUTH_UNAVAILABLE := ProblemType(
        "auth_unavailable", 503, "API keys cannot be checked", "The store of API keys does not respond.", retryable=True
    ),
    STORE_UNAVAILABLE := ProblemType(
        "store_unavailable", 503, "Store unavailable", "The database does not respond; try again.", retryable=True
    ),
)
"""The problems of every route with an API key."""

SOME_ROUTES: Final[tuple[ProblemType, ...]] = (
    PARTNER_KEY_REQUIRED := ProblemType(
        "partner_key_required", 403, "Partner key required", "This request needs the API key of a partner."
    ),
    NOT_FOUND := ProblemType("not_found", 404, "Not found", "There is nothing here that this API key may see."),
    METHOD_NOT_ALLOWED := ProblemType(
        "method_not_allowed", 405, "Method not allowed", "The Allow header lists the methods of this address."
    ),
    REQUEST_TIMEOUT := ProblemType(
        "request_timeout", 408, "Request timeout", "The head of the request did not arrive in time.", retryable=True
    ),
    ABOVE_RATE := ProblemType(
        "above_rate",
        422,
        "More than the rate allows at once",
        "The request carries more commands than this partner's rate ever allows at once; max_commands says how many.",
        members=(Member("max_commands", "commands that the rate allows at once", 200),),
    ),
    CROSS_ORIGIN_REFUSED := ProblemType(
        "cross_origin_refused",
        403,
        "Cross-origin request refused",
        "Web pages of this origin may not send this request; the operator lists the origins that may.",
    ),
    HOST_NOT_SERVED := ProblemType(
        "host_not_served",
        421,
        "Host not served",
        "The service does not answer to the host in this request; the operator lists those it answers to.",
    ),
    CURSOR_INVALID := ProblemType(
        "cursor_invalid", 422, "Cursor not valid", "The cursor is not one that this list gave for these filters."
    ),
)
"""Those that depend on the route, or come before there is one."""

CATALOGUE: Final = (*EVERY_ROUTE, *SOME_ROUTES)
"""The problems of any service. Append only: a published code keeps its meaning forever."""
