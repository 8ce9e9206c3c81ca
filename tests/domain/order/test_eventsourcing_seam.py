"""Recorded events and the fold satisfy the contracts of the `eventsourcing` library, which the domain never imports."""

import subprocess
import sys
from uuid import UUID

from eventsourcing.application import ProjectorFunction
from eventsourcing.domain import DomainEventProtocol

from domain.order.envelope import RecordedOrderEvent
from domain.order.state import OrderState, fold
from tests.support.orders.builders import recorded_history


def test_a_recorded_event_is_a_domain_event() -> None:
    created, authorized = recorded_history("authorize")
    event: DomainEventProtocol[UUID] = authorized
    assert isinstance(created, DomainEventProtocol)
    assert (event.originator_id, event.originator_version) == (created.envelope.order_id, 2)


def test_the_fold_is_a_projector_function() -> None:
    projector: ProjectorFunction[OrderState, RecordedOrderEvent] = fold
    history = recorded_history("authorize", "capture")
    order = projector(None, history[:1])
    assert projector(order, history[1:]) == fold(None, history)


def test_the_domain_does_not_load_the_library() -> None:
    code = "import sys, domain.codec, domain.order.decide, domain.catalogue; print('eventsourcing' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603  # fixed
    assert loaded.stdout.strip() == "False"
