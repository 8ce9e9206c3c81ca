"""Reads JSON without a float: no member of an answer holds a fraction today, and none shall lose digits one day."""

import json
from decimal import Decimal, InvalidOperation


def parse(content: bytes) -> object:
    """Return a JSON value; a number with a fraction or an exponent becomes a Decimal.

    Raises:
        ValueError: it is no JSON, or holds a number that no Decimal can hold.
    """
    try:
        return json.loads(content, parse_float=Decimal)
    except InvalidOperation:
        raise ValueError("a number has too large an exponent") from None
