"""What generated requests find, how they were answered, and which refusals are justified."""

import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import iso4217

from domain.order.document import render_order
from infra import clock
from projections.tables import orders
from tests.support.orders.builders import order_body, order_state
from tests.support.services.command_service import Service, id_of, insert_key, postgres_service
from tests.support.services.query_service import PARTITIONS, ReadModels, order_row
from tests.support.services.servers import Database

Json = dict[str, Any]
Supply = dict[str, list[Json]]

THINGS: Final = 12
"""How many of each kind; past them, requests go to the ids that were generated."""
FAR: Final = 1_000_000
"""Past every position that an example names."""

# The commands that lead an order to where the operation can succeed.
_BEFORE: Final[Mapping[str, tuple[str, ...]]] = {
    "authorize_order": (),
    "cancel_order": (),
    "set_order_status": (),
    "amend_order": (),
    "update_order": (),
    "add_order_note": (),
    "capture_order": ("authorize",),
    "void_order": ("authorize",),
    "refund_order": ("authorize", "captures"),
    "settle_order": ("authorize", "captures"),
}
_KEYS: Final = ("create_api_key", "get_api_key", "rotate_api_key", "revoke_api_key", "list_api_key_events")
_EXAMPLE_ORDER: Final = UUID("019a8b5c-0000-7000-8000-000000000000")


async def command_supply(database: Database, key: str) -> Supply:
    """Make orders in every state, endpoints, deliveries and partners with a key; return them by operation."""
    admin = await asyncpg.connect(database.admin_url)
    try:
        async with postgres_service(database, key) as service:
            supply: Supply = {name: await _orders(service, before) for name, before in _BEFORE.items()}
            endpoints = [await _endpoint(service, number) for number in range(THINGS // 2)]
        rows = ReadModels(admin)
        kept, *others = endpoints
        deliveries = [await rows.add_delivery("acme.test", "dead", endpoint_id=UUID(kept)) for _ in range(THINGS)]
        supply["delete_webhook_endpoint"] = [{"path": {"endpoint_id": each}} for each in others]
        supply["resend_webhook_delivery"] = [{"path": {"delivery_id": str(each)}} for each in deliveries]
        return supply | {name: [await _partner(admin, f"{name}-{n}") for n in range(THINGS)] for name in _KEYS}
    finally:
        await admin.close()


async def query_supply(database: Database) -> Supply:
    """Fill the read models with what the documented examples name; return it by operation."""
    admin = await asyncpg.connect(database.admin_url)
    try:
        rows = ReadModels(admin)
        await rows.log_reaches(FAR)
        for partition in range(PARTITIONS):
            await rows.apply(partition, FAR, FAR if partition == 0 else 0)
        row = order_row(order_id=_EXAMPLE_ORDER)
        await rows.add_orders(row)
        await rows.add_events(row, 3)
        await admin.execute(f"UPDATE {orders.fullname} SET document = $1", render_order(order_state("authorize")))
        delivery_id = str(await rows.add_delivery("acme.test"))
    finally:
        await admin.close()
    order: list[Json] = [{"path": {"order_id": str(_EXAMPLE_ORDER)}}] * THINGS
    return {
        "get_order": order,
        "get_order_timeline": order,
        "list_order_notes": order,
        "get_webhook_delivery": [{"path": {"delivery_id": delivery_id}}] * THINGS,
    }


async def _orders(service: Service, before: tuple[str, ...]) -> list[Json]:
    made: list[Json] = []
    for _ in range(THINGS):
        order_id = (await service.post(body=order_body())).json()["id"]
        for verb in before:
            assert (await service.post(f"/api/v1/orders/{order_id}/{verb}", {})).is_success
        made.append({"path": {"order_id": order_id}, "headers": {"If-Match": f'"{1 + len(before)}"'}})
    return made


async def _endpoint(service: Service, number: int) -> str:
    answer = await service.post("/api/v1/webhook-endpoints", {"url": f"https://example.com/{number}"})
    endpoint_id: str = answer.json()["id"]
    return endpoint_id


async def _partner(admin: "asyncpg.Connection[asyncpg.Record]", partner_id: str) -> Json:
    text = await insert_key(admin, partner_id)
    return {"path": {"key_id": id_of(text)}, "headers": {"Authorization": f"Bearer {text}"}}


@dataclass(frozen=True, slots=True)
class Answered:
    """A generated request and its response; `is_well_formed` if the request fits its schema."""

    operation: str
    is_well_formed: bool
    status: int
    body: Any
    sent: Any


def answers(report: Path, document: Json) -> Iterator[Answered]:
    """Read the report of schemathesis, without the follow-up requests of its checks."""
    names = {
        (method.upper(), path): operation["operationId"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    for line in report.read_text(encoding="utf-8").splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for case_id, case in recorder.get("cases", {}).items():
            value = case["value"]
            exchange = recorder["interactions"].get(case_id, {})
            name = names.get((value["method"], value["path"]))
            if name is None or "parent_id" in case or not exchange.get("response") or not value.get("meta"):
                continue
            yield Answered(
                name,
                value["meta"]["generation"]["mode"] == "positive",
                exchange["response"]["status_code"],
                _content(exchange["response"].get("content")),
                value.get("body"),
            )


def _content(content: Any) -> Any:
    if not content:
        return None
    try:
        return json.loads(base64.b64decode(content["$base64"]))
    except ValueError:
        return None


def successes(found: list[Answered]) -> Counter[str]:
    """Count the accepted well-formed requests of each operation."""
    return Counter(each.operation for each in found if each.is_well_formed and each.status < 300)


# Why a request that is right by its schema may be refused, for what no JSON Schema can say: by the code of the problem
# or of the fields it names, the operations that may say so (a pattern of their ids).
_AN_ORDER: Final = "(authorize|cancel|amend|update|capture|void|refund|settle|get)_order|set_order_status"
_OF_AN_ORDER: Final = f"{_AN_ORDER}|add_order_note|list_order_notes|get_order_timeline"
_WITH_ID: Final = rf"{_OF_AN_ORDER}|.*_webhook_(endpoint|delivery)|.*_api_key(_events)?"
REFUSALS: Final[Mapping[str, str]] = {
    # whether there is such a thing
    "not_found": _WITH_ID,
    # what the order has been through, and which version of it was seen
    "already_captured": "capture_order",
    "already_authorized": "authorize_order",
    "invalid_transition": "set_order_status",
    "not_authorized": "capture_order",
    "not_captured": "refund_order",
    "nothing_to_settle": "settle_order",
    "nothing_to_void": "void_order",
    "order_terminal": _AN_ORDER,
    "order_not_amendable": "amend_order",
    "precondition_failed": f"{_AN_ORDER}|add_order_note",
    # what an order has left, or which lines
    "amount_exceeds_capturable": "capture_order",
    "amount_exceeds_refundable": "refund_order",
    "settlement_mismatch": "settle_order",
    "line_unknown": "amend_order|capture_order|refund_order",
    "lines_required": "amend_order",
    "order_too_large": "create_order|amend_order",
    # what the partner has already
    "duplicate_external_reference": "create_order|update_order",
    "too_many_live_keys": "create_api_key",
    "too_many_webhook_endpoints": "create_webhook_endpoint",
    # members of which one excludes another, or that only keys of another kind may send
    "amount_or_lines": "capture_order",
    "partner_from_key": "create_api_key|list_api_keys",
    # what is counted in lists that grow without a new contract, or in time
    "currency_unknown": "create_order",
    "event_type_unknown": "create_webhook_endpoint",
    "scope_unknown": "create_api_key",
    "expiry_out_of_range": "create_api_key",
    "date_out_of_range": "settle_order",
    # two parameters that contradict each other
    "range_reversed": "list_orders",
    # more than zero, and as many digits and as much as the currency of the order has
    "amount_zero": "create_order|amend_order|capture_order|refund_order|settle_order",
    "currency_precision": "create_order|amend_order|capture_order|refund_order|settle_order",
    "amount_too_large": "create_order|amend_order|capture_order|refund_order|settle_order",
    # classes of Unicode, and forms that have grammars of their own
    "text_character": "create_webhook_endpoint|create_api_key|add_order_note|set_order_status|.*_order",
    "text_blank": "create_webhook_endpoint|create_api_key|add_order_note|set_order_status|.*_order",
    "metadata_key": "create_order|update_order",
    "email_malformed": "create_order|update_order",
    "hostname_invalid": "create_webhook_endpoint",
    "host_not_public": "create_webhook_endpoint",
    "external_reference_invalid": "list_orders",
    "parameter_empty": "list_.*|get_order_timeline",
    # what we have signed, or counted
    "cursor_invalid": "list_.*|get_order_timeline",
    "consistency_token_invalid": "list_.*|get_.*",
    # 1.0 is an integer to JSON Schema; a number with a fraction is none to us, whatever it is (decision 0040)
    "wrong_type": "create_order|amend_order|capture_order|refund_order|rotate_api_key",
}


# Where the refused value shows whether the code is true, it has to be.
_IS_TRUE: Final[Mapping[str, Callable[[Any], bool]]] = {
    "wrong_type": lambda value: isinstance(value, float) and value.is_integer(),
    "currency_unknown": lambda value: value not in {each.code for each in iso4217.Currency},
    "amount_zero": lambda value: Decimal(value) == 0,
    "amount_too_large": lambda value: Decimal(value) > 10**11,  # 10^15 minor units of the finest currency
    "date_out_of_range": lambda value: abs(date.fromisoformat(value) - clock.now().date()) > timedelta(days=365),
}


def unexplained(found: list[Answered]) -> list[tuple[str, int, str, Any]]:
    """Return the refusals of well-formed requests that REFUSALS does not cover, and those with an untrue code."""
    return [
        (each.operation, each.status, code, each.sent)
        for each in found
        if each.is_well_formed and each.status >= 400
        for code, pointer in _reasons(each)
        if not re.fullmatch(REFUSALS.get(code, "-"), each.operation) or not _is_true(code, pointer, each.sent)
    ]


def _reasons(answer: Answered) -> list[tuple[str, str]]:
    """Return the codes of the refused fields with their pointers, or the code of the problem."""
    fields = [(each["code"], each["pointer"]) for each in answer.body.get("errors", ())]
    return fields or [(answer.body["code"], "")]


def _is_true(code: str, pointer: str, sent: Any) -> bool:
    if code not in _IS_TRUE or not pointer:
        return True
    value = sent
    for step in pointer.split("/")[1:]:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return _IS_TRUE[code](value)
