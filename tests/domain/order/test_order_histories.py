"""Random histories of orders: every command, amounts around every limit, time that passes.

After each event the invariants of the ledger hold, the status is what its definition says, and the ledger is the sum
of what the events say; at the end a fold from zero results in the same order. Every refusal has a known code.
`make test` goes through twenty thousand histories, `ARGS=--hypothesis-profile=full` through a hundred thousand.
"""

from hypothesis import settings

from domain.order.errors import TransitionError
from domain.order.status import Status
from domain.order.transitions import MATRIX
from tests.support.orders.histories import run_histories

HISTORIES = {"fast": 2_000, "suite": 20_000, "full": 100_000}
SEED = 20_261_125
AMOUNT_CODES = {
    "amount_zero", "amount_exceeds_capturable", "amount_exceeds_refundable", "amount_exceeds_captured",
    "settlement_mismatch", "field_locked", "fully_refunded", "invalid_transition", "invalid_command",
}  # fmt: skip


def test_every_invariant_holds_after_every_event_of_every_history() -> None:
    tally = run_histories(SEED, HISTORIES[settings.get_current_profile_name()])

    assert {after for _, after in tally.moves} == set(Status), "the histories reach every status"
    codes = {
        cell.code
        for row in MATRIX.values()
        for cell in row.values()
        if isinstance(cell, type) and issubclass(cell, TransitionError)
    }
    assert tally.refused_by >= codes | AMOUNT_CODES
