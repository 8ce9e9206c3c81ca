"""What a client takes, by its Accept headers (RFC 9110, 12.5): each entry has a weight; 0 refuses it."""

import re
from functools import lru_cache
from typing import Final

_WEIGHT: Final = re.compile(rb"[01](?:\.[0-9]{0,3})?")
_MOST: Final = 1000
_JSON: Final = (b"application/json", b"application/problem+json")
_REMEMBERED: Final = 64


@lru_cache(maxsize=_REMEMBERED)
def accepts_gzip(accept_encoding: bytes) -> bool:
    """Return whether an Accept-Encoding header takes gzip."""
    weights = _weights(accept_encoding)
    return weights.get(b"gzip", weights.get(b"*", 0)) > 0


@lru_cache(maxsize=_REMEMBERED)
def accepts_json(accept: bytes) -> bool:
    """Return whether an Accept header takes JSON or problem documents."""
    weights = _weights(accept)
    anything = weights.get(b"application/*", weights.get(b"*/*", 0))
    return any(weights.get(kind, anything) > 0 for kind in _JSON)


@lru_cache(maxsize=_REMEMBERED)
def prefers_html(accept: bytes) -> bool:
    """Return whether an Accept header names HTML, and no JSON above it: so browsers ask, and programs do not."""
    weights = _weights(accept)
    return weights.get(b"text/html", 0) > max(0, *(weights.get(kind, 0) - 1 for kind in _JSON))


def _weights(header: bytes) -> dict[bytes, int]:
    """Return the weight of each entry, in lower case, in thousandths; of an entry with more parameters the highest."""
    weights: dict[bytes, int] = {}
    for entry in header.lower().split(b","):
        name, *parameters = (part.strip() for part in entry.split(b";"))
        weight = _MOST
        for parameter in parameters:
            key, _, value = parameter.partition(b"=")
            if key.strip() == b"q" and _WEIGHT.fullmatch(value.strip()):
                whole, _, part = value.strip().partition(b".")
                weight = min(_MOST, int(whole + part.ljust(3, b"0")))
        weights[name] = max(weight, weights.get(name, 0))
    return weights
