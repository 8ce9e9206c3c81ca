"""The Consistency-Token: `<partition>.<position>` of the last event of a command, as the command service sends it."""

import re
from dataclasses import dataclass
from typing import Final

from infra.http.problems import Problem
from query_api.problems import CONSISTENCY_TOKEN_INVALID

_FORM: Final = re.compile(r"(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,17})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    """A point in one partition. A reader that sends it wants to see everything up to there."""

    partition: int
    position: int

    def __str__(self) -> str:
        return f"{self.partition}.{self.position}"


def parse_token(text: str | None, partitions: int) -> Token | None:
    """Read the header; None when it was not sent.

    Raises:
        Problem: 422; not a token, or of a partition that does not exist.
    """
    if text is None:
        return None
    match = _FORM.fullmatch(text)
    if match is None or int(match[1]) >= partitions:
        raise Problem(CONSISTENCY_TOKEN_INVALID)
    return Token(int(match[1]), int(match[2]))
