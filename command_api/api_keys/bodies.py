"""What requests about API keys look like, and how each value is checked."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field

from command_api.api_keys.problems import FIELD_CODES
from command_api.errors import invalid_values
from domain import text
from domain.errors import TextError
from domain.instants import InstantError, parse_instant
from infra import clock
from infra.http.problems import FieldError
from infra.http.validation import NeverNull, RequestBody
from infra.security.api_keys import (
    INSTALLATION_SCOPES,
    MAX_LABEL,
    MAX_OVERLAP,
    PARTNER_SCOPES,
    SCOPE_MEANINGS,
    SCOPES,
    KeyRecord,
    is_partner_id,
)

MAX_LIFE: Final = timedelta(days=3650)
DEFAULT_OVERLAP_S: Final = 3600
MAX_OVERLAP_S: Final = int(MAX_OVERLAP.total_seconds())
MIN_OWN_OVERLAP_S: Final = 60
"""For a key that rotates itself: a client that lost the response can repeat only with the old key (decision 0055)."""


class NewApiKeyBody(RequestBody):
    """A key to be made, in the mode of the key that asks."""

    scopes: list[str] = Field(
        description="what the key may do; never more than the key that asks, unless one of the installation makes one "
        "of a partner. " + "; ".join(f"`{scope}`: {meaning}" for scope, meaning in SCOPE_MEANINGS.items()),
        json_schema_extra={
            "minItems": 1,
            "maxItems": len(SCOPES),
            "items": {"type": "string", "enum": [*sorted(SCOPES)]},
        },
        examples=[["orders:read", "orders:write"]],
    )
    label: str = Field(
        default="",
        description="what the key is for, shown in lists",
        json_schema_extra={"maxLength": MAX_LABEL},
        examples=["checkout, 2026"],
    )
    expires_at: Annotated[str | None, NeverNull()] = Field(
        default=None,
        description="until when it works; without, as long as the key that asks",
        json_schema_extra={"format": "date-time"},
        examples=["2035-01-31T00:00:00Z"],
    )
    partner_id: Annotated[str | None, NeverNull()] = Field(
        default=None,
        description="for installation keys only: whose key it will be; without, one of the installation",
        json_schema_extra={"pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"},
        examples=["acme"],
    )

    def value_errors(self, broken: AbstractSet[str]) -> Sequence[FieldError]:
        """Return what is wrong with the values, whatever the acting key is."""
        possible = SCOPES if "/partner_id" in broken or self.partner_id is None else PARTNER_SCOPES
        return [*_wrong_scopes(self.scopes, possible), *_wrong_values(self, clock.now())]


class RotationBody(RequestBody):
    """How a key is rotated."""

    overlap_s: int = Field(
        default=DEFAULT_OVERLAP_S,
        description="seconds for which the old key still works; at least 60 when that is the key that asks",
        json_schema_extra={"minimum": 0, "maximum": MAX_OVERLAP_S},
        examples=[86400],
    )


@dataclass(frozen=True, slots=True)
class WantedKey:
    """A key that was asked for, every value of it valid."""

    partner_id: str | None
    scopes: frozenset[str]
    label: str
    expires_at: datetime | None


def wanted_key(body: NewApiKeyBody, acting: KeyRecord, now: datetime) -> WantedKey:
    """Return the key that a body asks for; without an expiry of its own it has that of the acting key.

    Raises:
        Problem: 422 with one error for each broken value.
    """
    found: list[FieldError] = []
    partner_id = acting.partner_id
    if body.partner_id is not None:
        if acting.partner_id is not None:
            found.append(_error("/partner_id", "partner_from_key"))
        partner_id = body.partner_id
    found += _wrong_scopes(body.scopes, PARTNER_SCOPES if partner_id is not None else INSTALLATION_SCOPES)
    found += [each for each in _wrong_values(body, now) if each.pointer != "/partner_id" or acting.partner_id is None]
    if found:
        raise invalid_values(found)
    expires_at = acting.expires_at if body.expires_at is None else parse_instant(body.expires_at)
    return WantedKey(partner_id, frozenset(body.scopes), text.label(body.label), expires_at)


def overlap(body: RotationBody, *, is_own: bool) -> timedelta:
    """Return for how long the old key still works; `is_own`: it is the key that asks.

    Raises:
        Problem: 422, it is out of range, or too short for a key that rotates itself.
    """
    if not 0 <= body.overlap_s <= MAX_OVERLAP_S:
        raise invalid_values([_error("/overlap_s", "overlap_out_of_range")])
    if is_own and body.overlap_s < MIN_OWN_OVERLAP_S:
        raise invalid_values([_error("/overlap_s", "overlap_too_short")])
    return timedelta(seconds=body.overlap_s)


def _wrong_scopes(scopes: list[str], possible: frozenset[str]) -> list[FieldError]:
    if not 1 <= len(scopes) <= len(SCOPES):
        return [_error("/scopes", "scopes_count")]
    detail = f"{FIELD_CODES['scope_unknown']} One of: {', '.join(sorted(possible))}."
    wrong = [index for index, each in enumerate(scopes) if each not in possible]
    return [FieldError(f"/scopes/{index}", "scope_unknown", detail) for index in wrong]


def _wrong_values(body: NewApiKeyBody, now: datetime) -> Iterator[FieldError]:
    """Yield what is wrong whatever the acting key is."""
    try:
        text.label(body.label)
    except TextError as broken:
        yield FieldError("/label", "label_malformed", broken.detail)
    if body.expires_at is not None:
        try:
            if not now < parse_instant(body.expires_at) <= now + MAX_LIFE:
                yield _error("/expires_at", "expiry_out_of_range")
        except InstantError as error:
            yield FieldError("/expires_at", "expiry_malformed", str(error))
    if body.partner_id is not None and not is_partner_id(body.partner_id):
        yield _error("/partner_id", "partner_malformed")


def _error(pointer: str, code: str) -> FieldError:
    return FieldError(pointer, code, FIELD_CODES[code])
