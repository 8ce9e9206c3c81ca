"""What a refusal says, the client of examples/harbor_client says too: by the examples of the OpenAPI documents."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from harbor_orders_client import errors
from harbor_orders_client.problems import problem_from

OPENAPI: Final = Path(__file__).resolve().parents[2] / "docs" / "openapi"
REFUSALS: Final = [
    example["value"]
    for service in ("command", "query")
    for example in json.loads((OPENAPI / f"{service}.json").read_text())["components"]["examples"].values()
    if isinstance(example["value"].get("code"), str)
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal["code"])
def test_whatever_a_refusal_says_is_an_attribute_of_its_error(refusal: dict[str, Any]) -> None:
    for member in refusal.keys() - {"type", "title", "instance", "errors"}:
        found = getattr(errors.error_of(problem_from(refusal["status"], refusal)), member)
        assert (tuple(refusal[member]) if isinstance(found, tuple) else refusal[member]) == _as_sent(found), member


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal["code"])
def test_what_is_of_another_type_is_as_if_it_were_missing(refusal: dict[str, Any]) -> None:
    error = errors.error_of(problem_from(refusal["status"], {member: {} for member in refusal}))
    for member in error.problem.members.keys() - {"type", "title", "instance"}:
        assert not getattr(error, member), member


def _as_sent(found: object) -> object:
    if isinstance(found, datetime):
        return found.isoformat().replace("+00:00", "Z")
    return str(found) if isinstance(found, Decimal) else found
