"""Orders remembered by a process: bounded, per tenant, never older than what is known."""

from command_api.recent import RecentOrders
from tests.support.orders import new_order_id, order_state


def test_an_order_is_known_only_to_its_tenant() -> None:
    recent, state = RecentOrders(), order_state()

    recent.put("acme.test", state)

    assert recent.get("acme.test", state.order_id) is state
    assert recent.get("acme.live", state.order_id) is None
    assert recent.get("acme.test", new_order_id()) is None


def test_an_older_state_does_not_replace_a_newer_one() -> None:
    order_id = new_order_id()
    recent, newer = RecentOrders(), order_state("authorize", order_id=order_id)
    recent.put("acme.test", newer)

    recent.put("acme.test", order_state(order_id=order_id))

    assert recent.get("acme.test", order_id) is newer


def test_the_order_used_longest_ago_goes_first() -> None:
    recent, states = RecentOrders(max_orders=2), [order_state() for _ in range(3)]
    recent.put("t", states[0])
    recent.put("t", states[1])
    recent.get("t", states[0].order_id)

    recent.put("t", states[2])

    assert [recent.get("t", state.order_id) for state in states] == [states[0], None, states[2]]


def test_lines_are_bounded_too_and_given_back_when_an_order_goes() -> None:
    recent, states = RecentOrders(max_lines=5), [order_state() for _ in range(4)]
    for state in states:
        recent.put("t", state)
        recent.put("t", state)

    assert len(recent) == 2
    for state in states:
        recent.forget("t", state.order_id)
    assert len(recent) == 0
    for state in states[:2]:
        recent.put("t", state)
    assert len(recent) == 2
