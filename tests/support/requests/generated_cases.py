"""The hooks that schemathesis loads: they point well-formed requests at things that exist.

A schema cannot say which orders exist, that an idempotency key is used once, or that a cursor was handed out by us.
Without this, nearly every generated request that is right by its schema would be refused for such a reason, and none of
its answers would tell whether the service takes what it documents. Requests that are wrong on purpose stay as they are.
"""

import json
import os
import secrets
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, Final

import schemathesis
from schemathesis.core import NotSet

SUPPLY: Final = "HARBOR_TEST_SUPPLY"
_KEY: Final = "Idempotency-Key"
_CONDITION: Final = "if-none-match"
_AN_ETAG: Final = '"1"'
_OURS: Final = ("cursor", "partner_id")
_OURS_OR_CONDITIONAL: Final = ("consistency-token", _CONDITION)

_supply: Final[dict[str, list[dict[str, dict[str, str]]]]] = json.loads(Path(os.environ[SUPPLY]).read_bytes())
_keys_used: Final[set[str]] = set()
_turns: Final[Counter[str]] = Counter()
_used: Final[defaultdict[str, int]] = defaultdict(int)


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case[Any], _kwargs: dict[str, Any]) -> None:
    """Give a well-formed request a key of its own, an existing id and an ETag; drop texts that only we can make."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.headers.get(_KEY) in _keys_used:
        case.headers[_KEY] = secrets.token_hex(8)
    _keys_used.add(case.headers.get(_KEY, ""))
    if not case.headers.get(_CONDITION, _AN_ETAG).startswith('"'):
        case.headers[_CONDITION] = _AN_ETAG
    if case.meta.phase.name.value == "stateful":  # it leads itself, from one answer to the next request
        return
    operation = case.operation.definition.raw["operationId"]
    _take_from_supply(case, operation)
    _turns[operation] += 1
    if _turns[operation] % 2:  # and every other time with what was generated
        _leave_out_what_only_we_make(case)


def _take_from_supply(case: schemathesis.Case[Any], operation: str) -> None:
    made = _supply.get(operation, [])
    if _used[operation] >= len(made):
        return
    thing = made[_used[operation]]
    _used[operation] += 1
    case.path_parameters.update(thing.get("path", {}))
    for name, value in thing.get("headers", {}).items():
        if name in case.headers:  # a request that is sent without its login stays without
            case.headers[name] = value


def _leave_out_what_only_we_make(case: schemathesis.Case[Any]) -> None:
    for name in _OURS:
        case.query.pop(name, None)
    for name in _OURS_OR_CONDITIONAL:
        case.headers.pop(name, None)
    if not isinstance(case.body, NotSet) and isinstance(case.body, dict):
        case.body.pop("partner_id", None)
