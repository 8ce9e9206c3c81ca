"""A hundred thousand random histories of orders: every command, amounts around every limit, time that passes.

After each event the invariants of the ledger hold, the status is what its definition says, and the ledger is the sum
of what the events say; at the end a fold from zero gives the same order. What is refused is refused by a known code.
"""

from hypothesis import settings

from domain.order.errors import TransitionError
from domain.order.status import Status
from domain.order.transitions import MATRIX
from tests.support.orders.histories import Tally, run_histories

HISTORIES = 100_000
FAST_HISTORIES = 2_000
SEED = 20_261_125


def test_every_invariant_holds_after_every_event_of_every_history() -> None:
    count = FAST_HISTORIES if settings.get_current_profile_name() == "fast" else HISTORIES
    tally = Tally()

    run_histories(SEED, count, tally)

    assert tally.histories == count
    assert {after for _, after in tally.moves} == set(Status), "the histories reach every status"
    assert tally.refused_by >= {
        cell.code
        for row in MATRIX.values()
        for cell in row.values()
        if isinstance(cell, type) and issubclass(cell, TransitionError)
    }
    assert tally.refused_by >= {
        "amount_zero",
        "amount_exceeds_capturable",
        "amount_exceeds_refundable",
        "amount_exceeds_captured",
        "settlement_mismatch",
        "field_locked",
        "fully_refunded",
        "invalid_transition",
        "invalid_command",
    }
