"""No binary floating point is within reach of an amount: not in code that handles money, not in what we publish.

The rule runs in `make check`. Money code is the whole domain, and every module elsewhere that names amounts.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("command_api", "query_api", "projections")
NAMES_MONEY: Final = re.compile(r"_minor\b|unit_price|domain\.money|import money|\bparse_amount\b|\bamount_text\b")
PUBLISHED: Final = sorted(
    path for folder in ("openapi", "schemas", ".") for path in (ROOT / "docs" / folder).glob("*.json")
)
AMOUNTS: Final = frozenset({"amount", "unit_price", "gross", "fee", "net"})
FLOAT_CALLS: Final = frozenset({"float", "round"})
FLOAT_MODULES: Final = frozenset({"math", "statistics", "decimal", "fractions"})


def money_modules() -> list[Path]:
    """Give every module in which an amount occurs."""
    elsewhere = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    named = [path for path in elsewhere if NAMES_MONEY.search(path.read_text(encoding="utf-8"))]
    return sorted([*(ROOT / "domain").rglob("*.py"), *named])


def floats_in(source: str) -> Iterator[str]:
    """Give each place where a program could make or take a float."""
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Constant(value=float() | complex()):
                yield f"line {line}: a float literal"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield f"line {line}: true division"
            case ast.BinOp(op=ast.Pow(), right=ast.UnaryOp(op=ast.USub())):
                yield f"line {line}: a negative power"
            case ast.Name(id=name) if name in FLOAT_CALLS:
                yield f"line {line}: {name}"
            case ast.Import(names=names) if FLOAT_MODULES & {each.name for each in names}:
                yield f"line {line}: an import of {names[0].name}"
            case ast.ImportFrom(module=str(module)) if module in FLOAT_MODULES:
                yield f"line {line}: an import of {module}"


def numbers_in(schema: Any, place: str = "") -> Iterator[str]:
    """Give each place in a schema where a JSON number with a fraction may stand."""
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
    """Give each property that is an amount by its name: `*_minor` counts minor units, others are texts or objects."""
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


@pytest.mark.parametrize("path", money_modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_code_that_handles_money_makes_no_float(path: Path) -> None:
    assert list(floats_in(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_nothing_that_is_published_holds_a_json_number_with_a_fraction(path: Path) -> None:
    assert list(numbers_in(json.loads(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_an_amount_is_a_text_and_minor_units_are_a_whole_number(path: Path) -> None:
    for place, schema in amounts_in(json.loads(path.read_text(encoding="utf-8"))):
        kinds = {schema.get("type", "object"), *(each.get("type") for each in schema.get("anyOf", []))}
        whole = place.endswith("_minor")
        assert "number" not in kinds, place
        assert ("integer" in kinds) is whole, place


PLANTED: Final = (
    "x = 0.1",
    "x = a / b",
    "x /= b",
    "x = float(a)",
    "x = round(a)",
    "x = 10 ** -2",
    "import math",
    "from decimal import Decimal",
    "def f(x: float): ...",
)


@pytest.mark.parametrize("source", PLANTED)
def test_a_float_that_is_planted_is_found(source: str) -> None:
    assert list(floats_in(source))


def test_whole_numbers_are_let_through() -> None:
    assert list(floats_in("x = a // b + 10 ** 2 - (c % d) * 7")) == []


def test_a_number_that_is_planted_in_a_schema_is_found() -> None:
    assert list(numbers_in({"properties": {"amount": {"anyOf": [{"type": "number"}, {"type": "null"}]}}})) == [
        "/properties/amount/anyOf/0"
    ]
