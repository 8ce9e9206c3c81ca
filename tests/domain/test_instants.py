"""Which texts name an instant, and what a text that names none is told."""

from datetime import UTC, datetime

import pytest

from domain.instants import DateAloneError, InstantError, NaiveInstantError, parse_instant

AT = datetime(2026, 11, 30, 0, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-30T00:00:00.123456Z",
        "2026-11-30T00:00:00.123456789Z",
        "2026-11-30T00:00:00.123456999999999999999999Z",
        "2026-11-30t00:00:00.123456z",
        "2026-11-30 00:00:00.123456Z",
        "2026-11-30T01:00:00.123456+01:00",
        "2026-11-29T23:59:00.123456-00:01",
        "2026-11-30T00:00:00.123456-00:00",
    ],
)
def test_an_instant_has_any_offset_and_is_cut_to_microseconds(text: str) -> None:
    assert parse_instant(text) == AT


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("2026-11-30", DateAloneError, "2026-11-23T00:00:00Z"),
        ("2026-11-30T00:00:00", NaiveInstantError, "add Z"),
        ("2026-11-30 00:00:00.5", NaiveInstantError, "add Z"),
        ("2026-11-30T01:00:00 01:00", InstantError, "%2B"),
        ("2026-11-30T01:00:00.123456789 01:00", InstantError, "%2B"),
        ("2026-11-30T24:00:00Z", InstantError, "next day"),
        ("2026-12-31T23:59:60Z", InstantError, "leap seconds"),
        ("2026-02-29T00:00:00Z", InstantError, "no such day"),
        ("2026-11-30T00:60:00Z", InstantError, "no such day"),
        ("2026-11-30T00:00:00+24:00", InstantError, "offset"),
        ("2026-11-30T00:00:00+01:60", InstantError, "offset"),
        ("2026-11-30T00:00:00-00:99", InstantError, "offset"),
        ("0001-01-01T00:00:00+14:00", InstantError, "out of range"),
        ("9999-12-31T23:59:59-14:00", InstantError, "out of range"),
        ("2026-11-30T00:00:00+0100", InstantError, "RFC 3339"),
        ("2026-11-30T00:00Z", InstantError, "RFC 3339"),
        ("2026-11-30T00:00:00,5Z", InstantError, "RFC 3339"),
        ("2026-11-30T00:00:00.Z", InstantError, "RFC 3339"),
        ("2026-W49-1T00:00:00Z", InstantError, "RFC 3339"),
        ("1764460800", InstantError, "RFC 3339"),
        ("\u0662026-11-30T00:00:00Z", InstantError, "RFC 3339"),
        ("2026-11-30T00:00:00Z\n", InstantError, "RFC 3339"),
        ("", InstantError, "RFC 3339"),
    ],
)
def test_what_is_none_is_told_what_to_write(text: str, kind: type[InstantError], told: str) -> None:
    with pytest.raises(kind, match=told) as refused:
        parse_instant(text)
    assert type(refused.value) is kind
