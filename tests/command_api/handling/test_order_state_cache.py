"""Orders and answers remembered by a process: bounded, per tenant, never older than what is known."""

from command_api.handling.order_state_cache import ANSWERS_KEPT_S, Answer, OrderStateCache, RecentAnswers
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


class TestAnswers:
    """Answers remembered under idempotency keys."""

    def test_an_answer_is_known_only_to_its_tenant_and_under_its_key(self) -> None:
        answers, given = RecentAnswers(), _answer()

        answers.put("acme.test", "k", b"f", given)

        assert answers.get("acme.test", "k") == (b"f", given)
        assert answers.get("acme.live", "k") is None
        assert answers.get("acme.test", "K") is None

    def test_an_answer_is_forgotten_long_before_its_key_is(self) -> None:
        at_s = [0.0]
        answers = RecentAnswers(monotonic_s=lambda: at_s[0])
        answers.put("t", "old", b"f", _answer())

        at_s[0] = ANSWERS_KEPT_S
        kept = answers.get("t", "old")
        at_s[0] = ANSWERS_KEPT_S + 0.1
        gone = answers.get("t", "old")
        answers.put("t", "new", b"f", _answer())

        assert (kept is None, gone) == (False, None)
        assert len(answers) == 1

    def test_the_oldest_go_first_when_there_are_too_many_or_they_are_too_large(self) -> None:
        few, small = RecentAnswers(max_answers=2), RecentAnswers(max_bytes=25)
        for key in ("a", "b", "c"):
            few.put("t", key, b"f", _answer())
            small.put("t", key, b"f", _answer(b"x" * 10))

        for answers in (few, small):
            assert [answers.get("t", key) is None for key in ("a", "b", "c")] == [True, False, False]

    def test_an_answer_put_again_counts_once_and_is_the_youngest(self) -> None:
        answers = RecentAnswers(max_bytes=25)
        for key in ("a", "b", "a", "a", "c"):
            answers.put("t", key, b"f", _answer(b"x" * 10))

        assert [answers.get("t", key) is None for key in ("a", "b", "c")] == [False, True, False]

    def test_one_larger_than_all_the_room_is_not_kept(self) -> None:
        answers = RecentAnswers(max_bytes=25)

        answers.put("t", "a", b"f", _answer(b"x" * 26))
        answers.put("t", "b", b"f", _answer(b"x" * 25))

        assert [answers.get("t", key) is None for key in ("a", "b")] == [True, False]


def _answer(body: bytes = b"{}") -> Answer:
    return Answer(201, body, new_order_id(), 1, 1, replayed=True)
