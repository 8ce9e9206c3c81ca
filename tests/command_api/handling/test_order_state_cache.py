"""The cached orders of a process: bounded, per tenant, never older than what is known."""

from command_api.handling.order_state_cache import OrderStateCache
from tests.support.orders.builders import new_order_id, order_state


def test_an_order_is_known_only_to_its_tenant() -> None:
    order_states, state = OrderStateCache(), order_state()

    order_states.put("acme.test", state)

    assert order_states.get("acme.test", state.order_id) is state
    assert order_states.get("acme.live", state.order_id) is None
    assert order_states.get("acme.test", new_order_id()) is None


def test_an_older_state_does_not_replace_a_newer_one() -> None:
    order_id = new_order_id()
    order_states, newer = OrderStateCache(), order_state("authorize", order_id=order_id)
    order_states.put("acme.test", newer)

    order_states.put("acme.test", order_state(order_id=order_id))

    assert order_states.get("acme.test", order_id) is newer


def test_the_order_used_longest_ago_goes_first() -> None:
    order_states, states = OrderStateCache(max_orders=2), [order_state() for _ in range(3)]
    order_states.put("t", states[0])
    order_states.put("t", states[1])
    order_states.get("t", states[0].order_id)

    order_states.put("t", states[2])

    assert [order_states.get("t", state.order_id) for state in states] == [states[0], None, states[2]]


def test_lines_are_bounded_too_and_given_back_when_an_order_goes() -> None:
    order_states, states = OrderStateCache(max_lines=5), [order_state() for _ in range(4)]
    for state in states:
        order_states.put("t", state)
        order_states.put("t", state)

    assert len(order_states) == 2
    for state in states:
        order_states.forget("t", state.order_id)
    assert len(order_states) == 0
    for state in states[:2]:
        order_states.put("t", state)
    assert len(order_states) == 2
