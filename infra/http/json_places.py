"""Where the text of a body breaks a rule. A parser does not say, so a refused text is looked at a second time."""

import json
import re
from enum import Enum
from typing import Final, NamedTuple

_STRING: Final = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_STRUCTURE: Final = re.compile(rf"(?P<text>{_STRING})(?P<is_key>[ \t\r\n]*:)?|(?P<opener>[\[{{])|[\]}}]")
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<invalid>u0000|u[dD][89a-fA-F])|.)"
)
_TOKEN_START: Final = 64
"""Characters of a refused number that are looked for."""


class Rule(Enum):
    """What the structure of a body may break."""

    KEY_TWICE = "key twice"
    DEPTH = "depth"
    MEMBERS = "members"


class BrokenRule(NamedTuple):
    """A broken rule: the index in the text at which that shows, and the key if it is about one."""

    rule: Rule
    start: int
    key: str = ""


def line_and_column(text: str, index: int) -> str:
    """Return a sentence that says where an index is; lines and columns begin with 1."""
    line_start = text.rfind("\n", 0, index) + 1
    return f"Line {text.count(chr(10), 0, index) + 1}, column {index - line_start + 1}."


def index_of_token(token: str, text: str) -> int:
    """Return where a text has a number or a word for the first time outside of strings."""
    start = re.escape(token[:_TOKEN_START])
    outside = re.compile(rf"{_STRING}|(?P<token>(?<![\d.eE+-]){start})")
    return next((each.start() for each in outside.finditer(text) if each["token"]), 0)


def index_of_invalid_escape(text: str) -> int | None:
    """Return where a text escapes a null character or half of a surrogate pair for the first time."""
    return next((each.start() for each in _ESCAPE.finditer(text) if each["invalid"]), None)


def first_broken_rule(text: str, max_depth: int, max_members: int) -> BrokenRule | None:
    """Return the first place at which a text nests too deep, or an object has a key twice or too many members.

    The text need only be JSON up to there.
    """
    keys: list[set[str]] = []  # of each object and list that is open
    for token in _STRUCTURE.finditer(text):
        if token["opener"]:
            if len(keys) == max_depth:
                return BrokenRule(Rule.DEPTH, token.start())
            keys.append(set())
        elif token["text"] is None:
            keys.pop()
        elif token["is_key"]:
            key = json.loads(token["text"]) if "\\" in token["text"] else token["text"][1:-1]
            if key in keys[-1]:
                return BrokenRule(Rule.KEY_TWICE, token.start(), key)
            if len(keys[-1]) == max_members:
                return BrokenRule(Rule.MEMBERS, token.start())
            keys[-1].add(key)
    return None
