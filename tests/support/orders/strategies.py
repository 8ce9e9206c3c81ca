"""Hypothesis strategies of orders: everything they draw is acceptable, up to the limits of the rules."""

from collections.abc import Callable
from functools import partial

from hypothesis import strategies as st

from domain import text
from domain.currencies import EXPONENTS
from domain.errors import ValueRefusedError
from domain.money import MAX_AMOUNT_MINOR, currency
from domain.order.commands import CreateOrder, NewLine
from domain.order.event_parts import MAX_QUANTITY
from tests.support.orders.builders import NOW, new_order_id

_LETTERS = "ABCxyz0123456789-_./# éüßñ漢字한글ДЖع🚚"
_PROSE = _LETTERS + '"\\=+\n\t\u200c\u200d\ufe0f'
_METADATA_KEY_LETTERS = "abcXYZ019_.-"
_MOST_LINES_DRAWN = 6
_MOST_A_LINE_COSTS = MAX_AMOUNT_MINOR // (MAX_QUANTITY * _MOST_LINES_DRAWN)


def _is_kept(rule: Callable[[str], str], value: str) -> bool:
    try:
        rule(value)
    except ValueRefusedError:
        return False
    return True


def skus() -> st.SearchStrategy[str]:
    """Draw stock codes in several scripts."""
    return st.text(_LETTERS, min_size=1, max_size=text.MAX_SKU_CHARS).filter(partial(_is_kept, text.external_reference))


def external_references() -> st.SearchStrategy[str]:
    """Draw partners' order numbers."""
    return st.text(_LETTERS, min_size=1, max_size=text.MAX_EXTERNAL_REFERENCE_CHARS).filter(
        partial(_is_kept, text.external_reference)
    )


def emails() -> st.SearchStrategy[str]:
    """Draw addresses."""
    part = st.text("abcdefgXYZ0123456789é漢", min_size=1, max_size=20)
    return st.builds("{}@{}.{}".format, part, part, st.sampled_from(["example", "中国", "c1"]))


def metadata() -> st.SearchStrategy[dict[str, str]]:
    """Draw partners' own pairs."""
    keys = st.text(_METADATA_KEY_LETTERS, min_size=1, max_size=text.MAX_METADATA_KEY_CHARS)
    values = st.text(_PROSE, max_size=text.MAX_METADATA_VALUE_CHARS).filter(partial(_is_kept, text.metadata_value))
    return st.dictionaries(keys, values, max_size=4)


def new_lines() -> st.SearchStrategy[tuple[NewLine, ...]]:
    """Draw one to six lines whose total keeps the limit."""
    line = st.builds(NewLine, skus(), st.integers(1, MAX_QUANTITY), st.integers(1, _MOST_A_LINE_COSTS))
    return st.lists(line, min_size=1, max_size=_MOST_LINES_DRAWN).map(tuple)


def create_order_commands() -> st.SearchStrategy[CreateOrder]:
    """Draw commands that `decide` accepts."""
    return st.builds(
        CreateOrder,
        order_id=st.builds(new_order_id),
        partner_id=st.sampled_from(["acme", "globex"]),
        livemode=st.booleans(),
        currency=st.sampled_from(sorted(EXPONENTS)).map(currency),
        customer_email=emails(),
        lines=new_lines(),
        external_reference=st.none() | external_references(),
        metadata=metadata(),
        now=st.just(NOW),
    )
