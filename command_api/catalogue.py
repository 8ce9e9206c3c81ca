"""Every code of the command side in one table, and docs/errors.md, which lists those of both services."""

from collections.abc import Iterable, Mapping
from typing import Final

from command_api import errors
from command_api.api_keys import problems as api_key_problems
from command_api.handling import field_codes
from command_api.order_problems import AMOUNT_PROBLEMS, ORDER_PROBLEMS
from infra.http import problems
from infra.http.pages.errors import Errors
from infra.http.problems import ProblemType

CATALOGUE: Final[tuple[ProblemType, ...]] = (
    *errors.CATALOGUE,
    *ORDER_PROBLEMS,
    *AMOUNT_PROBLEMS,
    *api_key_problems.CATALOGUE,
)
"""Codes of the command side besides the shared ones."""
FIELD_CODES: Final = field_codes.FIELD_CODES | api_key_problems.FIELD_CODES
"""Codes inside the `errors` of a `validation_failed`."""

_CATALOGUE_HEAD: Final = """# Errors

Generated from the code; do not edit. Every error is `application/problem+json` (RFC 9457). `code` is for programs: it
never changes its meaning. `type` is the address of a page about it, at either service. `retryable`: the same request,
with the same Idempotency-Key, may succeed later.

| status | code | title | retryable | detail |
|---|---|---|---|---|"""
_FIELDS_HEAD: Final = """
## Codes inside `errors`

`validation_failed` lists at most 20 broken values in the order of the body, each with a JSON pointer (RFC 6901) into
the body, or to `/query/<parameter>`; `errors_omitted` says how many more there are. Shapes and values come together,
but for what only the order knows. A pointer ends above a name that is not short and plain: 1 to 40 of
`A-Z a-z 0-9 _ . ~ / -` and spaces.

| code | meaning |
|---|---|"""


def errors_of_both(others: Iterable[ProblemType], other_fields: Mapping[str, str]) -> Errors:
    """Return every error that either service sends.

    `others` are further problem types, `other_fields` further codes inside `errors` with what they mean. A code in two
    tables must mean the same in both.

    Raises:
        ValueError: one code with two meanings.
    """
    kinds: dict[str, ProblemType] = {}
    for kind in (*problems.CATALOGUE, *CATALOGUE, *others):
        if kinds.setdefault(kind.code, kind) != kind:
            raise ValueError(f"the code {kind.code} has two meanings")
    meanings = dict(FIELD_CODES)
    for code, meaning in other_fields.items():
        if meanings.setdefault(code, meaning) != meaning:
            raise ValueError(f"the code {code} has two meanings")
    return Errors(tuple(kinds.values()), meanings)


def catalogue_markdown(errors: Errors) -> str:
    """Return docs/errors.md: every code, by status, then the codes inside `errors`."""
    rows = [
        f"| {kind.status} | `{kind.code}` | {kind.title} | {'yes' if kind.retryable else 'no'} | {kind.detail} |"
        for kind in sorted(errors.problems, key=lambda kind: (kind.status, kind.code))
    ]
    fields = [f"| `{code}` | {meaning} |" for code, meaning in sorted(errors.fields.items())]
    return "\n".join([_CATALOGUE_HEAD, *rows, _FIELDS_HEAD, *fields, ""])
