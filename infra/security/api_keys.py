"""What an API key is: `hbr_{live|test}_{8 id}_{30 secret}{6 checksum}`, letters and digits only. Pure.

The checksum refuses typing errors and random probes before any I/O. The secret has 178 bits. Only an HMAC of the whole
key is stored, so a copy of the table is useless without the pepper.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

SCOPE_MEANINGS: Final[Mapping[str, str]] = {
    "orders:read": "read orders, their timelines and notes",
    "orders:write": "create and amend orders, change their details, add notes",
    "orders:cancel": "cancel orders",
    "orders:authorize": "authorize orders",
    "orders:capture": "capture and void",
    "orders:refund": "refund",
    "settlements:write": "record payouts",
    "events:read": "nothing yet; for the feed of events that is to come",
    "webhooks:read": "read webhook endpoints and deliveries",
    "webhooks:manage": "register and delete webhook endpoints, send deliveries again",
    "keys:manage": "create, read, rotate and revoke API keys",
    "audit:read": "read the orders of all partners, their timelines and the notes that are not internal",
    "dashboard:read": "the same as audit:read, for dashboards",
}
"""What each scope opens."""

INSTALLATION_SCOPES: Final = frozenset({"audit:read", "dashboard:read", "events:read", "keys:manage"})
"""Scopes of an installation key (dashboard, auditor, operator): all partners of its mode. None writes orders."""

SCOPES: Final = frozenset(SCOPE_MEANINGS)
PARTNER_SCOPES: Final = SCOPES - {"audit:read", "dashboard:read"}
"""Scopes of a partner's key, which reaches only that partner's data in the key's mode."""

MAX_LIVE_KEYS: Final = 20
"""Live keys of one partner in one mode; one that was rotated, and works only until its overlap ends, is not counted."""

MAX_OVERLAPPING_KEYS: Final = 20
"""Rotated keys of one partner in one mode that still work: each of its live keys may be rotated in one overlap."""

MAX_OVERLAP: Final = timedelta(days=7)
"""How long a key may still work after it was rotated."""

MAX_LABEL: Final = 100
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH: Final = 8
KEY_ID: Final = "[0-9A-Za-z]{8}"
"""The id of a key as a regular expression, without anchors."""
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SECRET_LENGTH: Final = 30
_CHECKSUM_LENGTH: Final = 6
_PARTNER: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_FORM: Final = re.compile(rf"hbr_(live|test)_({KEY_ID})_([0-9A-Za-z]{{30}})([0-9A-Za-z]{{6}})", re.ASCII)


def too_many_live_keys(*, lists: str, revokes: str) -> str:
    """Return why a partner gets no further key; `lists` and `revokes` are what the reader can type or send."""
    return (
        f"The partner has {MAX_LIVE_KEYS} live keys in this mode, and no more fit; to replace one, rotate it. "
        f"Otherwise revoke one first: {lists} lists them, {revokes} revokes one."
    )


def too_many_overlapping_keys(*, ends: str, rotates: str, revokes: str) -> str:
    """Return why a rotation has no overlap; `ends` says which key ends when, the others as in `too_many_live_keys`."""
    return (
        f"The partner has {MAX_OVERLAPPING_KEYS} keys in this mode that were rotated and still work. {ends} Wait until "
        f"then, rotate without an overlap ({rotates}), or revoke one of them first ({revokes})."
    )


class MalformedKeyError(ValueError):
    """Not of the form of a key, or its checksum is wrong."""


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A well-formed key, valid or not. `text` never shows in a representation."""

    key_id: str
    livemode: bool
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A stored key. `partner_id` is None for an installation key. `hashed` is `hash_key` of the key.

    `expires_at` is what the key was given and what it may give; `overlap_ends_at` is None until it is rotated.
    """

    key_id: str
    partner_id: str | None
    livemode: bool
    scopes: frozenset[str]
    hashed: bytes = field(repr=False)
    label: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    overlap_ends_at: datetime | None = None

    @property
    def ends_at(self) -> datetime | None:
        """Return when the key stops to work unless it is revoked: at its expiry or the end of its overlap."""
        return min((each for each in (self.expires_at, self.overlap_ends_at) if each is not None), default=None)

    def is_live(self, now: datetime) -> bool:
        """Return whether the key is valid at `now`."""
        if self.revoked_at is not None or (self.expires_at is not None and now >= self.expires_at):
            return False
        return self.overlap_ends_at is None or now < self.overlap_ends_at


@dataclass(frozen=True, slots=True)
class KeyActor:
    """Who changes keys: a key (`api_key`, with its id), an operator (`cli`), or an installer (`installation`)."""

    type: Literal["api_key", "cli", "installation"]
    id: str
    request_id: str


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """What identifies a request for a key that is sent again: a unique `name`, and the `fingerprint` of its content."""

    name: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class KeyVisibility:
    """Which keys somebody sees: those of a partner in one mode, or with None all of the mode."""

    partner_id: str | None
    livemode: bool

    def includes(self, record: KeyRecord) -> bool:
        """Return whether a key is one of them."""
        return record.livemode is self.livemode and self.partner_id in {None, record.partner_id}


def generate(livemode: bool) -> ParsedKey:
    """Return a new random key."""
    key_id, secret = _random(_ID_LENGTH), _random(_SECRET_LENGTH)
    body = f"hbr_{'live' if livemode else 'test'}_{key_id}_{secret}"
    return ParsedKey(key_id, livemode, body + checksum(body))


def parse(text: str) -> ParsedKey:
    """Read a key.

    Raises:
        MalformedKeyError: the form or the checksum is wrong.
    """
    match = _FORM.fullmatch(text)
    if match is None or checksum(text[:-_CHECKSUM_LENGTH]) != match[4]:
        raise MalformedKeyError("not an API key")
    return ParsedKey(match[2], match[1] == "live", text)


def checksum(body: str) -> str:
    """Return the CRC-32 of `body` as six base-62 digits."""
    value = zlib.crc32(body.encode("ascii"))
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        value, digit = divmod(value, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits


def hash_key(pepper: bytes, text: str) -> bytes:
    """Return the HMAC-SHA-256 of a key, 32 bytes: what is stored, and compared by `hmac.compare_digest`."""
    return hmac.digest(pepper, text.encode("ascii"), hashlib.sha256)


def is_partner_id(text: str) -> bool:
    """Return whether a text has the form of a partner's id."""
    return _PARTNER.fullmatch(text) is not None


def is_label(text: str) -> bool:
    """Return whether a text can be the label of a key: short, and on one line.

    What callers may send is for `domain.text.label` to say.
    """
    return len(text) <= MAX_LABEL and not _CONTROL.search(text)


def check_owner(partner_id: str | None, label: str) -> None:
    """Check who a key is for and what it is called.

    Raises:
        ValueError: one of them is malformed; the message says which.
    """
    if partner_id is not None and not is_partner_id(partner_id):
        raise ValueError("a partner is 1 to 63 of a-z 0-9 _ - and starts with a letter or digit")
    if not is_label(label):
        raise ValueError(f"a label has at most {MAX_LABEL} characters, on one line")


def check_scopes(partner_id: str | None, scopes: frozenset[str]) -> None:
    """Check that a key of this kind may have these scopes.

    Raises:
        ValueError: the message names the scopes that are unknown or not for this kind of key.
    """
    allowed = INSTALLATION_SCOPES if partner_id is None else PARTNER_SCOPES
    wrong = sorted(scopes - allowed)
    if wrong or not scopes:
        kind = "the installation" if partner_id is None else "a partner"
        raise ValueError(f"scopes of a key of {kind}: one or more of {sorted(allowed)}; not {wrong}")


def _random(length: int) -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(length))
