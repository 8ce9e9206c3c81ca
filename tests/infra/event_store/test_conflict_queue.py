"""In any order of arrival, a batch names no stream, key or claim twice, and no command is forgotten."""

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.event_store.conflict_queue import ConflictQueue, QueuedCommand
from infra.event_store.protocol import AppendCommand
from tests.support.event_store.append_commands import a_command, names

COMMANDS = st.lists(
    st.builds(
        a_command,
        tenant=st.sampled_from(["a.test", "b.test"]),
        key=st.sampled_from("klmnop"),
        stream=st.sampled_from([UUID(int=number) for number in range(4)]),
        claim=st.none() | st.sampled_from("xy"),
        events=st.integers(0, 2),
    ),
    max_size=40,
)


@settings(max_examples=50)
@given(commands=COMMANDS, max_count=st.integers(1, 10), data=st.data())
def test_batches_share_nothing_keep_the_order_and_leave_nothing_out(
    commands: list[AppendCommand], max_count: int, data: st.DataObject
) -> None:
    queue: ConflictQueue[int] = ConflictQueue()
    waiting, order = list(enumerate(commands)), []
    while waiting or queue.count:
        for _ in range(data.draw(st.integers(0 if queue.count else 1, 5))):
            if waiting:
                number, command = waiting.pop(0)
                queue.add(command, number)
        batch: list[QueuedCommand[int]] = queue.take(max_count, 10_000)
        assert 1 <= len(batch) <= max_count
        taken: list[tuple[str, object]] = [name for queued in batch for name in names(queued.command)]
        assert len(taken) == len(set(taken))
        for queued in batch:
            order.append(queued.item)
            for freed in queue.finish(queued):
                queue.make_ready(freed)

    assert sorted(order) == list(range(len(commands)))
    assert (queue.count, queue.size_bytes, queue.take(1, 1)) == (0, 0, [])
    for name in {name for command in commands for name in names(command)}:
        sharing = [number for number in order if name in names(commands[number])]
        assert sharing == sorted(sharing), "commands that share something keep their order"
