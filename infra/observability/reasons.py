"""Why something failed, as one sentence for a log line: never empty, never several lines, never a value it refused.

The messages of libraries were not written for an operator: a timeout has none, a lost connection reads `cannot switch
to state 12`. The name of the class stays at the end, for whoever searches for it.
"""

import os
import re
from typing import Final

import asyncpg

MAX_CHARS: Final = 500

_LOST: Final = "the connection to PostgreSQL was lost in the middle of a statement"
_SAID_OF_LOST: Final = ("cannot switch to state", "got result for unknown", "released back to the pool")
"""What asyncpg says when the connection was lost just then."""
_NO_ANSWER: Final = "no answer in time"
_QUOTES_VALUES: Final = ("22", "23")
"""Classes of SQLSTATE whose messages quote what was refused."""


def reason_of(error: BaseException) -> str:
    """Return what went wrong as a sentence, with the error's class."""
    name, sentence = type(error).__name__, _sentence(error)
    if sentence.endswith("Error)"):  # an error of ours that names the one below it
        return sentence[:MAX_CHARS]
    return f"{sentence[: MAX_CHARS - len(name) - 3]} ({name})"


def _sentence(error: BaseException) -> str:
    match error:
        case asyncpg.PostgresError() if (error.sqlstate or "")[:2] in _QUOTES_VALUES:
            return f"PostgreSQL refused a value, code {error.sqlstate}"
        case asyncpg.PostgresError():
            return f"PostgreSQL: {_first_line(error) or error.sqlstate}"
        case asyncpg.InternalClientError() | asyncpg.InterfaceError() if any(
            said in str(error) for said in _SAID_OF_LOST
        ):
            return _LOST
        case OSError(errno=int(number)) if number > 0:
            return f"{os.strerror(number).lower()}{_address(error)}"
        case TimeoutError():
            return _first_line(error) or _NO_ANSWER
    # Kafka's errors put the name of their class, and often a number, before the words; some have no words.
    name = type(error).__name__
    words = re.sub(rf"^(\[Error \d+\] )?{name}(: |$)", "", _first_line(error))
    return words.removesuffix(":").strip() or _spelled_out(name)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "")


def _address(error: OSError) -> str:
    """Return the address that a failed connect names: `[Errno 111] Connect call failed ('127.0.0.1', 5432)`."""
    found = re.search(r"\('([0-9a-fA-F.:]+)', (\d+)", str(error))
    return f" by {found[1]}:{found[2]}" if found else ""


def _spelled_out(name: str) -> str:
    """Return `NodeNotReadyError` as `node not ready error`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
