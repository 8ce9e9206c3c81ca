"""Reads and writes JSON without a float: a number with a fraction keeps every digit."""

import json
from decimal import Decimal, InvalidOperation


def parse(content: bytes) -> object:
    """Return a JSON value; a number with a fraction or an exponent becomes a Decimal.

    Raises:
        ValueError: it is not JSON, or holds a number that no Decimal can hold.
    """
    try:
        return json.loads(content, parse_float=Decimal)
    except InvalidOperation:
        raise ValueError("a number has too large an exponent") from None


def canonical(value: object) -> str:
    """Return a parsed value as JSON that equal values share: members sorted by name, no spaces.

    Raises:
        TypeError: there is something in it that is not JSON.
    """
    match value:
        case dict():
            members = (f"{canonical(name)}:{canonical(member)}" for name, member in sorted(value.items()))
            return "{" + ",".join(members) + "}"
        case list():
            return "[" + ",".join(map(canonical, value)) + "]"
        case Decimal():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False)
