"""The refusal of a key that another request used first: when, for which order, what differs; never what was sent."""

from collections.abc import Iterator
from typing import Final
from uuid import UUID

from command_api.errors import IDEMPOTENCY_KEY_MISMATCH
from command_api.handling.appends import Caller
from command_api.handling.idempotency import fingerprint
from domain.instants import instant_text
from infra.event_store.protocol import FirstUse, KeyMismatch
from infra.http.addresses import ORDERS
from infra.http.problems import MemberValue, Problem

CHANGES: Final = (
    ("PATCH", ""),
    ("PATCH", "/status"),
    ("POST", "/amendments"),
    ("POST", "/authorize"),
    ("POST", "/cancel"),
    ("POST", "/captures"),
    ("POST", "/notes"),
    ("POST", "/refunds"),
    ("POST", "/settlements"),
    ("POST", "/void"),
)
"""Method and end of the address of every route that changes an order; a test holds them against the routes."""

_CREATED: Final = 201


def key_mismatch(caller: Caller, outcome: KeyMismatch) -> Problem:
    """Return the refusal of a key that was used before, with what is kept of the first request."""
    first = outcome.first
    if first is None:
        return Problem(IDEMPOTENCY_KEY_MISMATCH)
    members: dict[str, MemberValue] = {
        "first_used_at": instant_text(first.recorded_at),
        "differs": _differences(caller, first),
    }
    if first.version:  # a create that was refused made no order
        members["existing_order_id"] = str(first.stream_id)
    return Problem(IDEMPOTENCY_KEY_MISMATCH, members=members)


def _differences(caller: Caller, first: FirstUse) -> list[str]:
    """Return what is certain to differ: `path` (with its method), `body`, or both.

    Only a hash of the first request is kept, so the same body is found by trying it at each address.
    """
    addresses = _addresses(first.stream_id)
    if any(fingerprint(method, path, caller.body) == first.fingerprint for method, path in addresses):
        return ["path"]
    was_create = first.status == _CREATED or first.version == 0
    is_same_order = caller.path.startswith(f"{ORDERS}/{first.stream_id}")
    is_known_path = caller.path == ORDERS if was_create else is_same_order
    return ["body"] if is_known_path else ["path", "body"]


def _addresses(order_id: UUID) -> Iterator[tuple[str, str]]:
    yield "POST", ORDERS
    for method, rest in CHANGES:
        yield method, f"{ORDERS}/{order_id}{rest}"
