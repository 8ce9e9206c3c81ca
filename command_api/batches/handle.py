"""Handle many creates at once: each is decided by itself, all are appended together (decision 0042).

An item of a batch is the same request as a single create under its key: same fingerprint, same namespace of keys, same
recorded bytes. So an item whose outcome is unknown can be sent again, in a batch or alone.
"""

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar, assert_never
from uuid import UUID

from command_api.errors import (
    CONCURRENT_MODIFICATION,
    IDEMPOTENCY_KEY_REQUIRED,
    OUTCOME_UNKNOWN,
    invalid_command,
    invalid_values,
    translate,
)
from command_api.handling.appends import Caller, CommandResponse, appended, probe_for_recorded_response, replayed
from command_api.handling.bodies import field_error, parse_body
from command_api.handling.handle import WritePath, decide_create, refuse_reference
from command_api.handling.idempotency import fingerprint, parse_key
from command_api.handling.key_mismatch import key_mismatch
from command_api.orders import bodies
from domain.order.errors import InvalidCommandError, WithdrawnCurrencyError
from domain.order.ids import OrderId
from infra.event_store.protocol import (
    AppendCommand,
    Appended,
    AppendOutcome,
    ClaimTaken,
    Duplicate,
    EventStoreError,
    KeyMismatch,
    WrongExpectedVersion,
)
from infra.http.json_body import Json, canonical
from infra.http.problems import INTERNAL_ERROR, FieldError, Problem
from infra.http.validation import in_body_order, unknown_field, wrong_type
from infra.observability.logs import get_logger

SLICE: Final = 64
"""Orders and lines handled before the event loop serves others: one to two milliseconds."""

USUAL: Final = 4
"""The weight of a usual order: itself and three lines."""

_ITEM: Final = frozenset({"idempotency_key", "order"})
_KEY: Final = "/idempotency_key"
_BLANKS: Final = " \t"
"""They are no part of a header's value, and so of no key."""
_KEY_OF_ITEM: Final = "Each order of a batch has an idempotency_key of its own."
_STACK_FRAMES: Final = 8
_UNKNOWN: Final = Problem(OUTCOME_UNKNOWN)

T = TypeVar("T")


@dataclass(slots=True)
class Item:
    """One order of a batch: its key, None without a usable one, and its response, `outcome_unknown` at first."""

    key: str | None = None
    response: CommandResponse | Problem = _UNKNOWN

    @property
    def status(self) -> int:
        """Return the status of the response."""
        return self.response.kind.status if isinstance(self.response, Problem) else self.response.status

    @property
    def replayed(self) -> bool:
        """Return whether the response is the recorded one of an earlier request."""
        return not isinstance(self.response, Problem) and self.response.replayed


@dataclass(slots=True)
class _Decided:
    """An item with something to append; `refusal`: refused, unless it repeats a request that was accepted."""

    item: Item
    caller: Caller
    append: AppendCommand
    refusal: Problem | None = None


class _Place(NamedTuple):
    """A part of the body: where it is, and its value."""

    pointer: str
    value: Json


async def slices(things: Sequence[T], weigh: Callable[[T], int] = lambda _: USUAL) -> AsyncIterator[Sequence[T]]:
    """Return the things in slices of some weight; between two of them the event loop serves others."""
    start = weight = 0
    for end, thing in enumerate(things, 1):
        weight += weigh(thing)
        if weight >= SLICE or end == len(things):
            if start:
                await asyncio.sleep(0)
            yield things[start:end]
            start, weight = end, 0


async def handle_batch(path: WritePath, sender: Caller, orders: Sequence[Json]) -> list[Item]:
    """Return the response to every order of a batch, in their order. No order ever affects another.

    `sender` is as for a single create, but for key and fingerprint: each order has its own.

    Raises:
        EventStoreError: the store took none of them; nothing was written.
    """
    items = [Item() for _ in orders]
    decided: list[_Decided] = []
    async for part in slices(range(len(orders)), lambda place: _weight(orders[place])):
        for place in part:
            ready = _decide(path, sender, place, orders[place], items[place])
            if ready is not None:
                decided.append(ready)
    firsts, repetitions = _by_key(decided)
    await _append(path, firsts, await path.store.append_all([each.append for each in firsts]))
    if repetitions:
        await _append(path, repetitions, await _try_append(path, repetitions))
    return items


def _by_key(decided: Sequence[_Decided]) -> tuple[list[_Decided], list[_Decided]]:
    """Return the first item of each key, and those that repeat one: they are appended after it."""
    firsts: dict[str, _Decided] = {}
    for each in decided:
        firsts.setdefault(each.caller.idempotency_key, each)
    return [*firsts.values()], [each for each in decided if firsts[each.caller.idempotency_key] is not each]


async def _append(
    path: WritePath, decided: Sequence[_Decided], outcomes: Sequence[AppendOutcome | EventStoreError]
) -> None:
    """Note the responses to what was appended; record the refusal of those whose external reference is taken."""
    taken = await _note_responses(decided, outcomes)
    if taken:
        for each, owner in taken:
            each.append = refuse_reference(each.caller, OrderId(each.append.stream_id), owner)
        refused = [each for each, _owner in taken]
        await _note_responses(refused, await _try_append(path, refused))


def _weight(value: Json) -> int:
    order = value.get("order") if isinstance(value, dict) else None
    lines = order.get("lines") if isinstance(order, dict) else None
    return 1 + len(lines) if isinstance(lines, list) else 1


def _decide(path: WritePath, sender: Caller, place: int, value: Json, item: Item) -> _Decided | None:
    """Decide one order; None when it has its response already."""
    part = _Place(f"/orders/{place}", value)
    try:
        order = _order_of(value, item)
        part = _Place(f"/orders/{place}/order", order)
        body_bytes = canonical(order)
        caller = sender._replace(
            idempotency_key=item.key or "", fingerprint=fingerprint("POST", sender.path, body_bytes), body=body_bytes
        )
        body = parse_body(bodies.CreateOrderBody, order)
        command = bodies.create_order(body, OrderId(path.new_id()), sender.tenant, path.now())
        try:
            return _Decided(item, caller, decide_create(path, caller, command))
        except WithdrawnCurrencyError as error:
            refusal = _in_batch(invalid_command(error), part)
            return _Decided(item, caller, probe_for_recorded_response(caller, refusal, command.order_id), refusal)
    except Problem as problem:
        item.response = _in_batch(problem, part)
    except InvalidCommandError as error:
        item.response = _in_batch(invalid_command(error), part)
    except Exception as error:  # noqa: BLE001  # a bug in one order must not cost the others their responses
        _log(error)
        item.response = Problem(INTERNAL_ERROR)
    return None


def _order_of(value: Json, item: Item) -> Json:
    """Return the order of an item and note its key, which the result names whatever else is wrong.

    Raises:
        Problem: 400 or 422; pointers are relative to the item.
    """
    if not isinstance(value, dict):
        raise invalid_values([wrong_type((), "an object")])
    if "idempotency_key" not in value:
        raise Problem(IDEMPOTENCY_KEY_REQUIRED, _KEY_OF_ITEM, errors=(field_error(_KEY, "required"),))
    key = value["idempotency_key"]
    if not isinstance(key, str):
        raise invalid_values([wrong_type(("idempotency_key",), "a string")])
    try:
        item.key = parse_key(key.strip(_BLANKS))
    except Problem as problem:
        problem.errors = (field_error(_KEY, problem.kind.code),)
        raise
    if not value.keys() <= _ITEM:
        unknown = [unknown_field((name,), sorted(_ITEM)) for name in value if name not in _ITEM]
        raise invalid_values(dict.fromkeys(unknown))
    if "order" not in value:
        raise invalid_values([field_error("/order", "required")])
    return value["order"]


async def _note_responses(
    decided: Sequence[_Decided], outcomes: Sequence[AppendOutcome | EventStoreError]
) -> Sequence[tuple[_Decided, UUID]]:
    """Note the responses to what was appended; return those whose external reference is taken, and by which order."""
    taken: list[tuple[_Decided, UUID]] = []
    async for part in slices(range(len(decided))):
        for place in part:
            each, outcome = decided[place], outcomes[place]
            if isinstance(outcome, ClaimTaken):
                taken.append((each, outcome.stream_id))
            elif each.refusal is not None and isinstance(outcome, WrongExpectedVersion):
                each.item.response = each.refusal
            else:
                each.item.response = _response(each, outcome)
    return taken


async def _try_append(path: WritePath, more: Sequence[_Decided]) -> Sequence[AppendOutcome | EventStoreError]:
    """Append what follows the first append, which is written: a store that takes no more fails only these."""
    try:
        return await path.store.append_all([each.append for each in more])
    except EventStoreError as error:
        return [error] * len(more)


def _response(decided: _Decided, outcome: AppendOutcome | EventStoreError) -> CommandResponse | Problem:
    """Return the response that was recorded, now or by an earlier request, or why there is none."""
    match outcome:
        case Appended():
            return appended(decided.append, outcome)
        case Duplicate():
            return replayed(outcome)
        case KeyMismatch():
            return key_mismatch(decided.caller, outcome)
        case ClaimTaken() | WrongExpectedVersion():
            return Problem(CONCURRENT_MODIFICATION)
        case EventStoreError():
            return translate(outcome) or Problem(OUTCOME_UNKNOWN)
        case _:
            assert_never(outcome)


def _in_batch(problem: Problem, place: _Place) -> Problem:
    """Return a problem whose pointers lead into the body of the batch. It is not recorded, so its bytes may differ."""
    if not problem.errors:
        return problem
    ordered = in_body_order(problem.errors, place.value)
    errors = tuple(FieldError(place.pointer + each.pointer, each.code, each.detail) for each in ordered)
    return Problem(problem.kind, problem.detail, errors=errors)


def _log(error: Exception) -> None:
    """Log the place of an unexpected error, never its message, which may hold data."""
    frames = traceback.extract_tb(error.__traceback__)[-_STACK_FRAMES:]
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    get_logger().error("batch.order_failed", error=type(error).__name__, places=places)
