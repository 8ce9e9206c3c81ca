"""What the outcome of one command says about repetitions of it: its own, after a lost outcome, and those behind it."""

from infra.event_store.protocol import AppendCommand, Appended, AppendOutcome, Duplicate, KeyMismatch


def own_append(command: AppendCommand, outcome: AppendOutcome) -> AppendOutcome:
    """Return `Appended` if a duplicate, found when a command was sent again, is what the command itself wrote."""
    if (
        isinstance(outcome, Duplicate)
        and outcome.stream_id == command.stream_id
        and outcome.version == command.expected_version + len(command.events)
        and (outcome.status, outcome.response) == (command.status, command.response)
    ):
        return Appended(outcome.version, outcome.position, outcome.recorded_at)
    return outcome


def outcome_of_repetition(first: AppendCommand, outcome: AppendOutcome, later: AppendCommand) -> AppendOutcome | None:
    """Return the outcome of a later command with the same key, if the first one's outcome decides it."""
    if (first.tenant_id, first.key) != (later.tenant_id, later.key) or not isinstance(outcome, Appended | Duplicate):
        return None
    if first.fingerprint != later.fingerprint:
        return KeyMismatch()
    if isinstance(outcome, Duplicate):
        return outcome
    return Duplicate(
        first.status, first.response, first.stream_id, outcome.version, outcome.position, outcome.recorded_at
    )
