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


def test_names_and_trailing_stars_are_filters_and_nothing_else() -> None:
    wrong = ["", "**", "*.created", "order*", "order.", ".order", "Order.created", "a" * 65, "a b"]

    assert all(map(is_pattern, ["*", "order.*", "order.created", "order.details_changed"]))
    assert not any(map(is_pattern, wrong))
