"""The retry schedule is a pure function: 13 attempts over about 72 hours."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.webhooks.schedule import DELAYS_S, MAX_ATTEMPTS, parse_retry_after, retry_delay_s

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def test_thirteen_attempts_spread_over_about_72_hours() -> None:
    assert [retry_delay_s(made, jitter=0.0) for made in range(13)] == [
        0, 5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200, 72000, 86400,
    ]  # fmt: skip
    assert 71 <= sum(DELAYS_S) / 3600 <= 73


@given(st.integers(min_value=MAX_ATTEMPTS), st.floats(-1, 1), st.none() | st.floats(0, 1e9))
def test_the_thirteenth_attempt_is_the_last(made: int, jitter: float, retry_after_s: float | None) -> None:
    assert retry_delay_s(made, jitter=jitter, retry_after_s=retry_after_s) is None


@given(st.integers(0, MAX_ATTEMPTS - 1), st.floats(-1, 1), st.none() | st.floats(0, 1e9), st.floats(0.001, 1))
def test_a_delay_stays_within_its_jitter_and_above_what_the_receiver_asked(
    made: int, jitter: float, retry_after_s: float | None, scale: float
) -> None:
    delay_s = retry_delay_s(made, jitter=jitter, retry_after_s=retry_after_s, scale=scale)
    assert delay_s is not None
    asked_s = min(retry_after_s or 0.0, 86_400)
    assert delay_s >= asked_s
    assert delay_s >= DELAYS_S[made] * 0.8 * scale * (1 - 1e-9)
    assert delay_s <= max(asked_s, DELAYS_S[made] * 1.2 * scale * (1 + 1e-9))
    assert delay_s == retry_delay_s(made, jitter=jitter, retry_after_s=retry_after_s, scale=scale)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("9" * 100_000, 86_400.0),
        ("Mon, 23 Nov 2026 12:01:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2099 11:00:00 GMT", 86_400.0),
        ("-5", None),
        ("1e9", None),
        ("٣", None),
        ("soon", None),
        ("Mon, 99 Nov 2026 12:01:00 GMT", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_and_capped(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds
