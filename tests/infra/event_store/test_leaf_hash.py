"""The leaf hash of an event: these bytes and no others, for as long as there are events."""

import hashlib
from datetime import UTC, datetime
from uuid import UUID

from infra.event_store.protocol import NewEvent, leaf_hash

STREAM = UUID("01920000-0000-7000-8000-0000000000aa")
EVENT = NewEvent(
    event_id=UUID("01920000-0000-7000-8000-0000000000bb"),
    type="order.created",
    schema_version=2,
    occurred_at=datetime(2026, 11, 23, 1, 2, 3, 123456, tzinfo=UTC),
    payload=b'{"total":"12.50"}',
    actor="api_key:abcd1234",
)
LEAF = (
    b"\x00harbor.event.v1"
    b"\x00\x00\x00\x09acme.test"
    b"\x00\x00\x00\x10\x01\x92\x00\x00\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\xaa"
    b"\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x01\x03"
    b"\x00\x00\x00\x10\x01\x92\x00\x00\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\xbb"
    b"\x00\x00\x00\x0dorder.created"
    b"\x00\x00\x00\x04\x00\x00\x00\x02"
    b"\x00\x00\x00\x202026-11-23T01:02:03.123456+00:00"
    b'\x00\x00\x00\x11{"total":"12.50"}'
)
"""Tenant, stream, version 259, event id, type, schema version, when it occurred, payload; each behind its length."""


def test_the_hash_is_that_of_bytes_an_auditor_can_spell_out() -> None:
    found = leaf_hash("acme.test", STREAM, 259, EVENT)

    assert found == hashlib.sha256(LEAF).digest()
    assert found.hex() == "c763cdf08ce4b7675b9975ce6d043705672468deb8a276ef8301d5b0c3fbdba9"
