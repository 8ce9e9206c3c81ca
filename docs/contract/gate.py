"""The contract check: today's OpenAPI documents against the published ones. A breaking change passes only on purpose.

`docs/openapi/published/<service>.json` is the contract that clients hold; only `make publish-contract` moves it. A
breaking change passes when the document's major version rose, or when `docs/openapi/accepted.toml` names it with a
reason (decision 0056).
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from docs.contract.change import Change
from docs.contract.operations import changes

OPENAPI: Final = Path(__file__).resolve().parents[1] / "openapi"
PUBLISHED: Final = "published"
ACCEPTED: Final = "accepted.toml"
_NOTHING_ACCEPTED: Final = """\
# Breaking changes made on purpose since the contract was last published; `make publish-contract` empties this list.
#
# [[change]]
# service = "command"
# change = "POST /api/v1/orders body/colour: property removed"    # the line that `make check` prints
# reason = "why no client is harmed, or how clients were warned"
"""


@dataclass(frozen=True, slots=True)
class Accepted:
    """One breaking change that was made on purpose."""

    service: str
    change: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What changed in the contract of one service."""

    service: str
    refused: tuple[Change, ...]
    accepted: tuple[Change, ...]
    additive: tuple[Change, ...]

    def lines(self) -> list[str]:
        """Return the lines that `make check` prints."""
        counted = f"{self.service}: {len(self.additive)} additive, {len(self.accepted)} accepted"
        return [f"{counted}, {len(self.refused)} breaking", *(f"  breaking  {change}" for change in self.refused)]


class AcceptanceError(Exception):
    """The list of accepted changes is wrong; the message says how."""


def judge(
    service: str, published: Mapping[str, Any], now: Mapping[str, Any], accepted: Sequence[Accepted] = ()
) -> Verdict:
    """Compare a service's document with the published one.

    Raises:
        AcceptanceError: an accepted change has not been made, so the list is stale.
    """
    found = changes(published, now)
    breaking = [change for change in found if change.is_breaking]
    additive = tuple(change for change in found if not change.is_breaking)
    named = {each.change for each in accepted if each.service == service}
    unmade = named - {str(change) for change in breaking}
    if unmade:
        raise AcceptanceError(f"{service}: accepted, but not made: {'; '.join(sorted(unmade))}")
    is_new_major = _major(now) > _major(published)
    passed = tuple(change for change in breaking if is_new_major or str(change) in named)
    return Verdict(service, tuple(change for change in breaking if change not in passed), passed, additive)


def read_accepted(text: str) -> list[Accepted]:
    """Read `accepted.toml`.

    Raises:
        AcceptanceError: an entry lacks its service, change or reason.
    """
    entries = tomllib.loads(text).get("change", [])
    try:
        found = [Accepted(entry["service"], entry["change"], entry["reason"]) for entry in entries]
    except (KeyError, TypeError):
        raise AcceptanceError("each [[change]] has a service, a change and a reason") from None
    if not all(each.reason.strip() for each in found):
        raise AcceptanceError("each [[change]] needs a reason")
    return found


def judge_all(documents: Mapping[str, Mapping[str, Any]], folder: Path = OPENAPI) -> list[Verdict]:
    """Compare every document with the published one; a service that was never published cannot break."""
    accepted = read_accepted((folder / ACCEPTED).read_text(encoding="utf-8"))
    return [
        judge(service, json.loads(path.read_text(encoding="utf-8")), document, accepted)
        for service, document in documents.items()
        if (path := folder / PUBLISHED / f"{service}.json").exists()
    ]


def publish(documents: Mapping[str, str], folder: Path = OPENAPI) -> list[Verdict]:
    """Publish the documents unless one breaks its published contract; return the verdicts either way."""
    verdicts = judge_all({service: json.loads(text) for service, text in documents.items()}, folder)
    if not any(verdict.refused for verdict in verdicts):
        (folder / PUBLISHED).mkdir(exist_ok=True)
        for service, text in documents.items():
            (folder / PUBLISHED / f"{service}.json").write_text(text, encoding="utf-8")
        (folder / ACCEPTED).write_text(_NOTHING_ACCEPTED, encoding="utf-8")
    return verdicts


def _major(document: Mapping[str, Any]) -> int:
    return int(str(document["info"]["version"]).partition(".")[0])
