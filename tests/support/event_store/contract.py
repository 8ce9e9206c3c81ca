"""What every event store must do. A test class per store inherits these cases and provides the fixture `store`."""

import asyncio
from itertools import pairwise

import pytest

from infra.clock import new_id
from infra.event_store.protocol import (
    AppendCommand,
    Appended,
    AppendOutcome,
    AppendRejectedError,
    ClaimTaken,
    Duplicate,
    EventStore,
    EventStoreError,
    FirstUse,
    KeyMismatch,
    WrongExpectedVersion,
    leaf_hash,
)
from tests.support.event_store.append_commands import OTHER_REQUEST, a_command, an_event


def appended(outcome: AppendOutcome | EventStoreError) -> Appended:
    """Return the outcome, which must be `Appended`."""
    assert isinstance(outcome, Appended)
    return outcome


class EventStoreContract:
    """The protocol of `infra.event_store.protocol`, case by case."""

    async def test_an_empty_log_has_head_zero_and_no_events(self, store: EventStore) -> None:
        assert await store.head() == 0
        assert list(await store.read_all(0, 10)) == []
        assert list(await store.read_stream("acme.test", new_id())) == []

    async def test_positions_count_the_log_and_versions_count_the_stream(self, store: EventStore) -> None:
        one, other = new_id(), new_id()

        first = appended(await store.append(a_command(stream=one, events=2)))
        second = appended(await store.append(a_command(stream=other, events=1)))
        third = appended(await store.append(a_command(stream=one, expected=2, events=3)))

        assert [(each.version, each.position) for each in (first, second, third)] == [(2, 2), (1, 3), (5, 6)]
        events = await store.read_all(0, 100)
        assert [(event.position, event.version) for event in events] == [(1, 1), (2, 2), (3, 1), (4, 3), (5, 4), (6, 5)]
        assert await store.head() == 6

    async def test_an_event_reads_back_exactly_as_it_was_written(self, store: EventStore) -> None:
        event = an_event(b'{"b":1,"a":1E5, "a":2}\x00\xff', traceparent="00-1-2-01")
        command = a_command(events=[event])

        outcome = appended(await store.append(command))

        (stored,) = await store.read_stream(command.tenant_id, command.stream_id)
        assert (stored.position, stored.version, stored.recorded_at) == (1, 1, outcome.recorded_at)
        assert stored.payload == event.payload
        for name in ("event_id", "type", "schema_version", "occurred_at", "actor", "correlation_id", "causation_id"):
            assert getattr(stored, name) == getattr(event, name)
        assert stored.traceparent == event.traceparent
        assert stored.leaf_hash == leaf_hash(command.tenant_id, command.stream_id, 1, event)
        assert (stored.tenant_id, stored.stream_id, stored.log_id) == (command.tenant_id, command.stream_id, 0)

    async def test_reads_are_cut_by_position_and_limit(self, store: EventStore) -> None:
        await store.append(a_command(events=5))

        assert [e.position for e in await store.read_all(2, 2)] == [3, 4]
        assert list(await store.read_all(5, 10)) == []

    async def test_a_stream_of_another_tenant_does_not_exist(self, store: EventStore) -> None:
        stream = new_id()
        await store.append(a_command(tenant="acme.test", stream=stream))

        assert list(await store.read_stream("acme.live", stream)) == []
        assert await store.append(a_command(tenant="acme.live", stream=stream, expected=1)) == WrongExpectedVersion(0)

    @pytest.mark.parametrize("expected", [0, 2])
    async def test_a_wrong_expected_version_writes_nothing(self, store: EventStore, expected: int) -> None:
        stream = new_id()
        await store.append(a_command(stream=stream))

        assert await store.append(a_command(stream=stream, expected=expected)) == WrongExpectedVersion(1)
        assert await store.head() == 1

    async def test_a_repeated_key_gets_the_first_response(self, store: EventStore) -> None:
        command = a_command(key="k", response=b"first", status=201)
        first = appended(await store.append(command))

        again = await store.append(command._replace(response=b"second", status=500, stream_id=new_id()))

        assert again == Duplicate(201, b"first", command.stream_id, first.version, first.position, first.recorded_at)
        assert await store.head() == 1

    async def test_a_key_used_by_another_request_is_a_mismatch(self, store: EventStore) -> None:
        await store.append(a_command(key="k"))

        assert await store.append(a_command(key="k", fingerprint=OTHER_REQUEST)) == KeyMismatch()
        assert await store.head() == 1

    async def test_a_mismatch_says_what_is_kept_of_the_first_request(self, store: EventStore) -> None:
        one, other = a_command(key="one", events=2, status=200), a_command(key="other", events=0, status=409)
        first, second = appended(await store.append(one)), appended(await store.append(other))

        alone = await store.append(a_command(key="one", fingerprint=OTHER_REQUEST))
        together = await store.append_all(
            [a_command(key=key, fingerprint=OTHER_REQUEST) for key in ("other", "new", "one")]
        )

        of_one = FirstUse(one.fingerprint, 200, one.stream_id, 2, first.recorded_at)
        of_other = FirstUse(other.fingerprint, 409, other.stream_id, 0, second.recorded_at)
        found = [each.first for each in (alone, *together) if isinstance(each, KeyMismatch)]
        assert found == [of_one, of_other, of_one]

    async def test_keys_and_claims_are_per_tenant(self, store: EventStore) -> None:
        await store.append(a_command(tenant="acme.test", key="k", claim="ref"))

        outcome = await store.append(a_command(tenant="acme.live", key="k", claim="ref"))

        assert appended(outcome).position == 2

    async def test_a_claim_belongs_to_its_first_stream_for_ever(self, store: EventStore) -> None:
        owner = new_id()
        await store.append(a_command(stream=owner, claim="ref"))

        assert await store.append(a_command(claim="ref")) == ClaimTaken(owner)
        assert appended(await store.append(a_command(stream=owner, expected=1, claim="ref"))).version == 2

    async def test_a_refused_command_leaves_its_key_and_claim_free(self, store: EventStore) -> None:
        stream = new_id()
        await store.append(a_command(stream=stream))
        refused = a_command(stream=stream, expected=7, key="k", claim="ref")
        assert await store.append(refused) == WrongExpectedVersion(1)

        assert appended(await store.append(refused._replace(expected_version=1))).version == 2
        assert appended(await store.append(a_command(claim="other"))).version == 1

    async def test_a_response_without_events_is_recorded(self, store: EventStore) -> None:
        stream = new_id()
        await store.append(a_command(stream=stream, events=2))
        refusal = a_command(stream=stream, expected=2, events=0, key="k", status=409, response=b"no")

        outcome = appended(await store.append(refusal))

        assert (outcome.version, outcome.position) == (2, 2)
        again = await store.append(refusal)
        assert again == Duplicate(409, b"no", stream, 2, 2, outcome.recorded_at)
        assert await store.head() == 2

    @pytest.mark.parametrize(("events", "position"), [(1, 4), (2, 6)])
    async def test_a_response_without_events_has_the_position_of_the_last_event_of_its_stream(
        self, store: EventStore, events: int, position: int
    ) -> None:
        one, other, third = new_id(), new_id(), new_id()
        await store.append_all([a_command(stream=one), a_command(stream=other)])
        await store.append_all(
            [a_command(stream=stream, expected=1, events=events) for stream in (other, one)]  # `one` moves on last
        )
        await store.append(a_command(stream=third))
        refusal = a_command(stream=one, expected=1 + events, events=0, key="k")

        outcome = appended(await store.append(refusal))
        again = await store.append(refusal)

        assert (outcome.version, outcome.position) == (1 + events, position)
        assert isinstance(again, Duplicate)
        assert (again.version, again.position) == (1 + events, position)

    async def test_a_response_without_events_about_a_missing_stream_is_recorded(self, store: EventStore) -> None:
        refusal = a_command(events=0, status=422)

        outcome = appended(await store.append(refusal))

        assert (outcome.version, outcome.position) == (0, 0)
        assert list(await store.read_stream(refusal.tenant_id, refusal.stream_id)) == []

    async def test_a_response_without_events_still_checks_the_version(self, store: EventStore) -> None:
        assert await store.append(a_command(events=0, expected=3)) == WrongExpectedVersion(0)

    async def test_refused_commands_use_no_position_and_harm_no_neighbour(self, store: EventStore) -> None:
        known, taken = a_command(key="known", events=2), a_command(claim="ref")
        await store.append_all([known, taken])
        good = [a_command(events=2), a_command(events=0), a_command(events=1), a_command(events=3)]

        outcomes = await store.append_all(
            [
                good[0],
                known,
                good[1],
                a_command(key="known", fingerprint=OTHER_REQUEST, events=4),
                good[2],
                a_command(stream=known.stream_id, expected=1, events=2),
                a_command(claim="ref"),
                good[3],
            ]
        )

        assert isinstance(outcomes[1], Duplicate)
        assert outcomes[3] == KeyMismatch()
        assert outcomes[5] == WrongExpectedVersion(2)
        assert outcomes[6] == ClaimTaken(taken.stream_id)
        positions = [appended(outcomes[index]).position for index in (0, 2, 4, 7)]
        assert positions == [5, 0, 6, 9]
        events = await store.read_all(3, 100)
        assert [(e.position, e.stream_id, e.version) for e in events] == [
            (4, good[0].stream_id, 1),
            (5, good[0].stream_id, 2),
            (6, good[2].stream_id, 1),
            (7, good[3].stream_id, 1),
            (8, good[3].stream_id, 2),
            (9, good[3].stream_id, 3),
        ]

    @pytest.mark.parametrize(
        "poison",
        [
            a_command(key="k\0"),
            a_command(key="k" * 513),
            a_command(claim=""),
            a_command(fingerprint=b"short"),
            a_command(events=[an_event(b"x" * 1_000_001)]),
            a_command(events=[an_event(actor="a\0")]),
        ],
        ids=["key-nul", "key-long", "claim-empty", "fingerprint-short", "payload-large", "actor-nul"],
    )
    async def test_a_command_that_cannot_be_stored_is_rejected_alone(
        self, store: EventStore, poison: AppendCommand
    ) -> None:
        neighbours = [a_command() for _ in range(6)]

        results = await asyncio.gather(
            *(store.append(command) for command in [*neighbours[:3], poison, *neighbours[3:]]), return_exceptions=True
        )

        assert isinstance(results.pop(3), AppendRejectedError)
        assert sorted(result.position for result in results if isinstance(result, Appended)) == [1, 2, 3, 4, 5, 6]

    async def test_of_racing_writers_at_one_version_exactly_one_wins(self, store: EventStore) -> None:
        stream = new_id()

        outcomes = await asyncio.gather(*(store.append(a_command(stream=stream)) for _ in range(20)))

        assert sum(isinstance(outcome, Appended) for outcome in outcomes) == 1
        assert sum(outcome == WrongExpectedVersion(1) for outcome in outcomes) == 19

    async def test_of_racing_copies_of_one_request_one_writes_and_all_get_its_response(self, store: EventStore) -> None:
        copies = [a_command(key="k", response=str(number).encode()) for number in range(20)]

        outcomes = await asyncio.gather(*(store.append(copy) for copy in copies))

        (winner,) = (number for number, outcome in enumerate(outcomes) if isinstance(outcome, Appended))
        responses = {outcome.response for outcome in outcomes if isinstance(outcome, Duplicate)}
        assert responses == {copies[winner].response}
        assert await store.head() == 1

    async def test_of_racing_claims_exactly_one_wins(self, store: EventStore) -> None:
        rivals = [a_command(claim="ref") for _ in range(10)]

        outcomes = await asyncio.gather(*(store.append(rival) for rival in rivals))

        (winner,) = (number for number, outcome in enumerate(outcomes) if isinstance(outcome, Appended))
        losers = [outcome for outcome in outcomes if not isinstance(outcome, Appended)]
        assert losers == [ClaimTaken(rivals[winner].stream_id)] * 9

    async def test_commands_made_together_get_their_outcomes_in_order_and_one_after_the_other(
        self, store: EventStore
    ) -> None:
        stream, owner, first = new_id(), new_id(), a_command(key="k", response=b"first")

        outcomes = await store.append_all(
            [
                first,
                a_command(stream=owner, claim="ref"),
                a_command(key="k", response=b"copy"),
                a_command(key="k", fingerprint=OTHER_REQUEST),
                a_command(claim="ref"),
                a_command(stream=stream, events=2),
                a_command(stream=stream, expected=2),
                a_command(stream=stream, expected=2),
            ]
        )

        won = appended(outcomes[0])
        assert outcomes[2] == Duplicate(201, b"first", first.stream_id, 1, won.position, won.recorded_at)
        assert outcomes[3:5] == [KeyMismatch(), ClaimTaken(owner)]
        assert [appended(outcomes[index]).version for index in (0, 1, 5, 6)] == [1, 1, 2, 3]
        assert outcomes[7] == WrongExpectedVersion(3)
        assert await store.head() == 5

    async def test_of_commands_made_together_one_that_cannot_be_stored_fails_alone(self, store: EventStore) -> None:
        outcomes = await store.append_all([a_command(), a_command(key="k\0"), a_command()])

        assert isinstance(outcomes[1], AppendRejectedError)
        assert [appended(outcomes[index]).version for index in (0, 2)] == [1, 1]
        assert await store.head() == 2
        assert await store.append_all([]) == []

    async def test_recorded_at_never_runs_backwards(self, store: EventStore) -> None:
        for _ in range(20):
            await store.append(a_command())

        events = await store.read_all(0, 100)
        assert all(earlier.recorded_at <= later.recorded_at for earlier, later in pairwise(events))
