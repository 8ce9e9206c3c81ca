"""Hypothesis strategy of events as a store gives them: any field anything that ASCII headers can carry."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from infra.event_store.protocol import StoredEvent

INSTANTS = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis takes naive bounds
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789_.-", min_size=1, max_size=40)
COUNTS = st.integers(1, 2**62)


def stored_events() -> st.SearchStrategy[StoredEvent]:
    """Draw stored events, whatever their payload."""
    return st.builds(
        StoredEvent,
        position=COUNTS,
        log_id=st.integers(0, 100),
        tenant_id=NAMES,
        stream_id=st.uuids(),
        version=st.integers(1, 2**31 - 1),
        type=NAMES,
        schema_version=st.integers(1, 1000),
        event_id=st.uuids(),
        occurred_at=INSTANTS,
        recorded_at=INSTANTS,
        actor=NAMES,
        correlation_id=st.none(),
        causation_id=st.none(),
        traceparent=st.none() | NAMES,
        payload=st.binary(max_size=200),
        leaf_hash=st.just(bytes(32)),
    )
