"""No binary floating point comes near an amount: not in what we write, not in what we publish.

`tests.support.orders.floats` says what is looked for in every module that ships and what the check cannot see;
`tests.support.orders.floats_allowed` lists where floats may be. The rule runs in `make check`. What happens to amounts
on their way through the whole system is in `tests/test_no_floats_at_run_time.py` (decision 0057).
"""

import json
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.orders.floats import JSON, ROOT, floats_in, modules
from tests.support.orders.floats_allowed import ALLOWED, ALLOWED_FOR, BESIDE_AMOUNTS

NAMES_AMOUNTS: Final = re.compile(r"_minor\b|unit_price|[Mm]oney|[Aa]mounts?\b|\bgross\b|[Cc]urrency|order\.events")
PUBLISHED: Final = [
    (path, json.loads(path.read_text(encoding="utf-8")))
    for folder in ("openapi", "schemas", ".")
    for path in sorted((ROOT / "docs" / folder).glob("*.json"))
]
AMOUNTS: Final = frozenset({"amount", "unit_price", "gross", "fee", "net"})


def name_of(path: Path) -> str:
    """Return the name under which a module stands in the list."""
    return path.relative_to(ROOT).as_posix()


def refused_in(module: str, source: str) -> list[str]:
    """Return each place of a module that makes or takes a float and is not allowed to."""
    allowed = ALLOWED.get(module, set[str]())
    return [f"{module}:{found.line} {found.kind}" for found in floats_in(source) if found.kind not in allowed]


def numbers_in(schema: Any, place: str = "") -> Iterator[str]:
    """Return each place in a schema where a JSON number with a fraction may stand."""
    match schema:
        case dict():
            kinds = schema.get("type")
            if kinds == "number" or (isinstance(kinds, list) and "number" in kinds):
                yield place
            for name, part in schema.items():
                yield from numbers_in(part, f"{place}/{name}")
        case list():
            for index, part in enumerate(schema):
                yield from numbers_in(part, f"{place}/{index}")


def amounts_in(schema: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Return each property that is an amount by its name: `*_minor` counts minor units, others are texts or objects."""
    match schema:
        case dict():
            properties = schema.get("properties")
            for name, part in properties.items() if isinstance(properties, dict) else ():
                if name in AMOUNTS or name.endswith("_minor"):
                    yield f"{place}/{name}", part
            for name, part in schema.items():
                yield from amounts_in(part, f"{place}/{name}")
        case list():
            for index, part in enumerate(schema):
                yield from amounts_in(part, f"{place}/{index}")


@cache
def kinds_in(module: str) -> frozenset[str]:
    return frozenset(found.kind for found in floats_in((ROOT / module).read_text(encoding="utf-8")))


def test_a_module_makes_and_takes_no_float_unless_it_is_allowed_to() -> None:
    assert [place for path in modules() for place in refused_in(name_of(path), path.read_text(encoding="utf-8"))] == []


def test_a_module_is_allowed_only_what_it_needs() -> None:
    assert {module: kinds_in(module) for module in ALLOWED} == ALLOWED


def test_a_module_is_listed_once() -> None:
    assert len(ALLOWED) == sum(len(listed) for listed in ALLOWED_FOR.values())


def test_a_module_that_is_allowed_something_and_names_amounts_says_why_that_is_harmless() -> None:
    names_amounts = {name for name in ALLOWED if NAMES_AMOUNTS.search((ROOT / name).read_text(encoding="utf-8"))}

    assert names_amounts == BESIDE_AMOUNTS.keys()


def test_the_domain_is_allowed_nothing_but_to_read_json() -> None:
    assert {kind for module, kinds in ALLOWED.items() if module.startswith("domain/") for kind in kinds} == {JSON}


def test_every_package_that_ships_is_checked() -> None:
    looked_at = {name_of(path).split("/")[0] for path in modules()}

    packages = {path.name for path in ROOT.iterdir() if any(path.rglob("*.py")) and not path.name.startswith(".")}
    assert packages - looked_at == {"docs", "tests"}


def test_nothing_that_is_published_holds_a_json_number_with_a_fraction() -> None:
    assert [(path.name, place) for path, schema in PUBLISHED for place in numbers_in(schema)] == []


def test_an_amount_is_a_text_and_minor_units_are_a_whole_number() -> None:
    found = [(path.name, place, schema) for path, whole in PUBLISHED for place, schema in amounts_in(whole)]

    for name, place, schema in found:
        kinds = {schema.get("type", "object"), *(each.get("type") for each in schema.get("anyOf", []))}
        assert "number" not in kinds, (name, place)
        assert ("integer" in kinds) is place.endswith("_minor"), (name, place)
    assert len(found) > 100


EVASIONS: Final = (
    "x = 0.1", "x = 1e2", "x = 1j", "x = a / b", "x /= b", "x = total / f(b)", "x = float(a)", "x = round(a)",
    "x = complex(a)", "x = round(float(x) * 100) / 100", "x = int(pow(10, e) * operator.truediv(a, b))",
    "x = pow(10, -2)", "x = 10 ** -2", "x = a ** b", "x = 10 ** int(b)", "x **= b", "x = a.__truediv__(b)",
    "x = int.__rtruediv__(a, b)", "x = getattr(a, '__truediv__')(b)", "x = a.__float__()", "x = a.__round__()",
    "x = a.__pow__(b)", "x = builtins.float(a)", "x = __builtins__.float(a)", "import builtins",
    "from builtins import float as f", "from builtins import *", "from numpy import float64", "import numpy as np",
    "import cmath", "import math", "from math import floor", "import os, math", "import operator",
    "from operator import truediv as over", "import _operator", "import _decimal", "from decimal import Decimal",
    "import fractions", "import statistics", "from random import random as chance", "import struct", "import ctypes",
    "import time", "x = time.time()", "x = asyncio.get_running_loop().time()", "x = age.total_seconds() * minor",
    "x = now.timestamp()", "x = monotonic_s() * minor", "from infra.clock import monotonic_s as passed",
    "x = clock.monotonic_s() * minor", "x = json.loads('0.1')", "x = orjson.loads(b'0.1')", "x = json.load(file)",
    "import json as j", "x = pydantic_core.from_json(text)", "x = ast.literal_eval('0.1')",
    "x = json.JSONDecoder().decode('0.1')", "read = json.loads", "from json import loads as read",
    "from orjson import loads", "from json import load", "x = json.loads(text, parse_float=float)",
    "x = eval('1 / 3')", "exec(program)", "x = __import__('math').floor(a)", "x = importlib.import_module('math')",
    "x = sys.modules['math']", "x = globals()['flo' + 'at']", "def f(x: float): ...",
    "class Body: amount: FiniteFloat", "from pydantic import confloat", "match x:\n    case float():\n        pass",
    "x = [*map(float, texts)]", "x = isinstance(x, float)",
)  # fmt: skip
HANDLE_AMOUNTS: Final = (
    "domain/money.py",
    "domain/order/ledger.py",
    "command_api/orders/money_bodies.py",
    "domain/order/document.py",
    "query_api/orders/responses.py",
    "query_api/orders/routes.py",
    "projections/read_models/orders.py",
    "infra/event_store/memory.py",
    "infra/event_store/protocol.py",
    "examples/harbor_client/harbor_orders_client/operations/payments.py",
    "examples/harbor_client/harbor_orders_client/operations/binding.py",
)


@pytest.mark.parametrize("evasion", EVASIONS)
def test_every_way_to_a_float_is_found(evasion: str) -> None:
    planted = evasion if "import *" in evasion else "def planted():\n" + textwrap.indent(evasion, "    ")

    assert list(floats_in(planted))


def test_a_module_that_handles_amounts_is_allowed_nothing() -> None:
    assert {*HANDLE_AMOUNTS} & ALLOWED.keys() == set()
    assert {*HANDLE_AMOUNTS} <= {name_of(path) for path in modules()}


@pytest.mark.parametrize(
    ("module", "evasion"),
    [
        ("domain/codec.py", "x = minor / 100"),
        ("domain/order/cached_state.py", "x = float(minor)"),
        ("domain/catalogue/pages.py", "import math"),
        ("command_api/app.py", "x = round(minor)"),
        ("infra/http/json_body.py", "x = minor / 100"),
        ("projections/webhooks/body.py", "x = 0.01 * minor"),
        ("infra/settings.py", "x = total_minor / 100"),
        ("examples/harbor_client/harbor_orders_client/documents/responses.py", "x = float(amount)"),
        ("examples/harbor_client/harbor_orders_client/documents/new_orders.py", "x = round(amount, 2)"),
    ],
)
def test_a_module_that_is_allowed_one_kind_is_not_allowed_another(module: str, evasion: str) -> None:
    assert refused_in(module, (ROOT / module).read_text(encoding="utf-8") + f"\n{evasion}\n")


def test_whole_numbers_texts_and_paths_are_allowed() -> None:
    assert list(floats_in("x = a // b + 10 ** 2 - (c % d) * 7 + 2 ** 0 + divmod(a, b)[0] + sum(y) + abs(z)")) == []
    assert list(floats_in("x = path / 'name' / f'{name}.json'; y = str(a) + '.' + text; f(**members)")) == []
    assert list(floats_in("x = head.timestamp; z = json.loads(text, parse_float=Decimal)")) == []


def test_a_number_that_is_planted_in_a_schema_is_found() -> None:
    assert list(numbers_in({"properties": {"amount": {"anyOf": [{"type": "number"}, {"type": "null"}]}}})) == [
        "/properties/amount/anyOf/0"
    ]
