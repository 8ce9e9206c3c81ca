"""A copy of `harbor.append_batch` that measures itself, statement by statement, derived from the one in the catalog."""

import re
from dataclasses import dataclass
from typing import Final

MARKED: Final = "harbor.append_batch_marked"
CLOCK: Final = "timestamptz", "clock_timestamp()", "extract(epoch FROM v_ended[n] - v_begun[n]) * 1000000"
BLOCKS: Final = (
    "numeric",
    "(SELECT sum(pg_stat_get_xact_blocks_fetched(oid)) FROM pg_class WHERE relnamespace = 'harbor'::regnamespace)",
    "v_ended[n] - v_begun[n]",
)
"""What is read before and after each statement: its type, the reading, and what two readings say of statement n."""
_KEEP: Final = "-- keep --"
READ_MARKS: Final = "SELECT current_setting('bench.marks')"
_NAMES: Final = (
    (r"pg_advisory_xact_lock", "take the lock"),
    (r"pg_notify", "notify"),
    (r"^RETURN QUERY", "return the outcomes"),
    (r"new_events AS", "insert events, streams, responses"),
    (r"array_agg\(sent", "number the events"),
    (r"^INSERT INTO harbor\.(\w+)", r"insert \1"),
    (r"^UPDATE harbor\.(\w+)", r"update \1"),
    (r"array_agg", "find the outcomes"),
    (r"FROM harbor\.batches", "read the last position"),
    (r"harbor\.(\w+)", r"look up \1"),
    (r"hashtextextended", "hash the keys"),
)


class UnknownShapeError(Exception):
    """The function's source is not written as this program expects."""


@dataclass(frozen=True, slots=True)
class Marked:
    """Source of the copy, and the names of the statements it measures, in their order."""

    sql: str
    names: tuple[str, ...]


def marked(definition: str, measure: tuple[str, str, str]) -> Marked:
    """Return the copy of what `pg_get_functiondef` gave.

    A statement begins on a line of its own and ends with the first line that ends with a semicolon. The copy leaves
    its measurements in the setting `bench.marks`: one number per statement, -1 where it was not reached.

    Raises:
        UnknownShapeError: no statement was found.
    """
    kind, reading, difference = measure
    head, body, _ = definition.split("$function$")
    declared, begin, statements = body.partition("\nBEGIN\n")
    names: list[str] = []
    lines: list[str] = []
    for statement in _statements(statements):
        name = _name(statement)
        if name is None:
            lines += [_KEEP, *statement] if statement[0].strip() in ("RETURN;", "END") else statement
            continue
        names.append(name)
        lines += [f"v_begun[{len(names)}] := {reading};", *statement, f"v_ended[{len(names)}] := {reading};"]
    if not names:
        raise UnknownShapeError("no statement was recognised: see `_NAMES`")
    copy = "\n".join(lines).replace(_KEEP, _keep(len(names), difference))
    declarations = f"\n    v_begun {kind}[];\n    v_ended {kind}[];"
    sql = f"{head.replace('harbor.append_batch', MARKED)}$function${declared}{declarations}{begin}{copy}\n$function$"
    return Marked(sql, tuple(names))


def _statements(source: str) -> list[list[str]]:
    """Split into statements, and lines that open a branch."""
    found: list[list[str]] = []
    current: list[str] = []
    for line in source.splitlines():
        if not current and (not line.strip() or line.strip().startswith("--")):
            continue
        current.append(line)
        code = line.partition(" -- ")[0].rstrip()
        if code.endswith((";", " THEN")) or code.strip() in ("ELSE", "END"):
            found.append(current)
            current = []
    return found


def _name(statement: list[str]) -> str | None:
    text = "\n".join(statement).strip()
    if text.startswith(("IF", "ELS", "END", "RAISE", "RETURN;")):
        return None
    for pattern, name in _NAMES:
        found = re.search(pattern, text)
        if found:
            return found.expand(name)
    return None


def _keep(count: int, difference: str) -> str:
    return (
        "PERFORM set_config('bench.marks', (SELECT string_agg("
        f"coalesce({difference}, -1)::integer::text, ' ' ORDER BY n) FROM generate_series(1, {count}) AS n), false);"
    )
