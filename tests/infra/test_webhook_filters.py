"""Filters of event types: exact names and wildcards at the end."""

import pytest

from infra.webhook_filters import is_pattern, matches


@pytest.mark.parametrize(
    ("patterns", "event_type", "wanted"),
    [
        (["*"], "order.created", True),
        (["order.*"], "order.created", True),
        (["order.created"], "order.created", True),
        (["order.created"], "order.captured", False),
        (["order.*"], "orders.created", False),
        (["order.*"], "order", False),
        (["invoice.*", "order.canceled"], "order.canceled", True),
        ([], "order.created", False),
    ],
)
def test_a_filter_lets_through_what_it_names(patterns: list[str], event_type: str, wanted: bool) -> None:
    assert matches(patterns, event_type) is wanted


@pytest.mark.parametrize("text", ["*", "order.*", "order.created", "order.details_changed"])
def test_names_and_trailing_stars_are_filters(text: str) -> None:
    assert is_pattern(text)


@pytest.mark.parametrize(
    "text", ["", "**", "*.created", "order*", "order.", ".order", "Order.created", "a" * 65, "a b"]
)
def test_anything_else_is_not(text: str) -> None:
    assert not is_pattern(text)
