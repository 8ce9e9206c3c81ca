"""Which host names may be dialled, and what is wrong with those that may not.

A name is plain ASCII as it goes to the resolver. A public name ends in a top-level domain that exists: one of the
Public Suffix List, in the `publicsuffixlist` package. Any other is known to a private network at most, so a live
endpoint under it is refused when it is saved and not when its first webhook is lost (decision 0082).
"""

import re
from collections.abc import Collection

import idna
from publicsuffixlist import PublicSuffixList

MAX_HOST_CHARS = 253
MAX_LABEL_CHARS = 63

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

_SUFFIXES = PublicSuffixList(only_icann=True, accept_unknown=False, accept_encoded_idn=False)
_NO_HOSTS = frozenset(
    {
        "onion",  # RFC 7686: no resolver answers
        "arpa",  # RFC 3172: the infrastructure's own, with home.arpa (RFC 8375) and every in-addr.arpa
    }
)
"""Of the list, those under which no partner has a host."""


class HostNameError(Exception):
    """A host name is not one; the message says in which part."""


def read_name(host: str) -> str:
    """Return a host as IDNA 2008 A-labels, lower case (UTS 46 mapping, non-transitional).

    Raises:
        HostNameError: it is no name.
    """
    for place, character in enumerate(host, start=1):
        if _is_dropped(character):
            raise HostNameError(f"The host has an invisible character (U+{ord(character):04X}): its character {place}.")
    try:
        name = host.lower() if host.isascii() else idna.encode(host, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise HostNameError("The host is not a valid internationalised name (IDNA 2008).") from None
    if len(name) > MAX_HOST_CHARS:
        raise HostNameError(f"A host name has at most {MAX_HOST_CHARS} characters.")
    if name.endswith("."):
        raise HostNameError("The host ends in a dot; leave it out.")
    for label in name.split("."):
        _check_label(label)
    return name


def is_public_name(name: str, extra_top_level_domains: Collection[str] = ()) -> bool:
    """Return whether a name (of `read_name`) has two parts or more and ends in a top-level domain that exists.

    Args:
        name: lower-case A-labels.
        extra_top_level_domains: those the operator knows of and the list does not.
    """
    parent, _, last = name.rpartition(".")
    if not parent:
        return False
    return last in extra_top_level_domains or (last not in _NO_HOSTS and _SUFFIXES.is_public(idna.decode(last)))


def is_loopback(name: str) -> bool:
    """Return whether a name means this machine, whatever a resolver says (RFC 6761)."""
    return name == "localhost" or name.endswith(".localhost")


def _is_dropped(character: str) -> bool:
    """Return whether the mapping of UTS 46 makes nothing of it: a host may not turn into another one unseen."""
    try:
        return not character.isascii() and not idna.uts46_remap(character, std3_rules=False)
    except (idna.IDNAError, UnicodeError):
        return False


def _check_label(label: str) -> None:
    if not label:
        raise HostNameError("The host has an empty part: it begins with a dot, or has two in a row.")
    if "_" in label:
        raise HostNameError("The host has an underscore, which no host name may have.")
    if label.startswith("-") or label.endswith("-"):
        raise HostNameError("A part of the host begins or ends with a hyphen.")
    if len(label) > MAX_LABEL_CHARS:
        raise HostNameError(f"A part of the host is longer than {MAX_LABEL_CHARS} characters.")
    if not _LABEL.fullmatch(label):
        raise HostNameError("The host has a character other than letters, digits, hyphens and dots.")
    if label.startswith("xn--"):
        try:
            idna.decode(label)  # an A-label that does not decode is a disguise
        except (idna.IDNAError, UnicodeError):
            raise HostNameError("A part of the host begins with xn-- and is not a valid A-label (IDNA 2008).") from None
