r"""One parser for the URLs partners give us, from save to dial.

It is stricter than any standard on purpose: requests reach the inside when two parsers disagree about one odd URL
(`http://8.8.8.8\@127.0.0.1/` has two hosts to two parsers). Whatever is not plainly one scheme, host, port and path is
refused with a code. The sender builds its request from the parsed parts, never from the text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import idna

from infra.security.net_guard.addresses import IPAddress, IPNetwork, deny_reason, in_networks

MAX_URL_CHARS = 2048
MAX_HOST_CHARS = 253
SAFE_PORTS = frozenset({443, 8443})
HTTP_PORT = 80
MAX_PORT = 65535

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?")
_LITERAL_V6 = re.compile(r"\[(?P<address>[0-9a-fA-F:.]+)\](?::(?P<port>[0-9]{1,5}))?")
_AUTHORITY = re.compile(r"(?P<host>[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PATH = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
_QUERY = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_INSIDE = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "onion", "home.arpa")
"""Names that no public resolver has: never those of a live endpoint."""


class TargetRefusedError(Exception):
    """A URL or an address must not be dialled; `code` is stable and safe to show to the partner."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What may be dialled for one mode. In live mode `allow_networks` is empty by construction (`for_mode`)."""

    livemode: bool
    allow_networks: tuple[IPNetwork, ...] = ()

    @classmethod
    def for_mode(cls, *, livemode: bool, allow_networks: Sequence[IPNetwork]) -> "AddressRules":
        """Return the rules of a mode; the operator's networks count in test mode only."""
        return cls(livemode, () if livemode else tuple(allow_networks))


@dataclass(frozen=True, slots=True)
class Target:
    """One parsed URL. `host` is lower-case ASCII; `literal` is set when it is an address and not a name."""

    scheme: str
    host: str
    port: int
    path: str
    query: str
    literal: IPAddress | None

    @property
    def url(self) -> str:
        """Return the canonical text: what is stored and shown."""
        host = f"[{self.host}]" if isinstance(self.literal, IPv6Address) else self.host
        default = 443 if self.scheme == "https" else HTTP_PORT
        port = "" if self.port == default else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}{'?' + self.query if self.query else ''}"


def parse_target(url: str, rules: AddressRules) -> Target:
    """Parse one URL by the rules of its mode, without resolving its name.

    Raises:
        TargetRefusedError: with a code of `url_too_long`, `url_malformed`, `scheme_not_allowed`,
            `userinfo_not_allowed`, `hostname_invalid`, `host_not_public`, `ip_literal_not_allowed`, `port_not_allowed`,
            `fragment_not_allowed`, `address_denied`.
    """
    if len(url) > MAX_URL_CHARS:
        raise TargetRefusedError("url_too_long", f"A URL has at most {MAX_URL_CHARS} characters.")
    if "\\" in url or any(character <= " " or character == "\x7f" for character in url):
        raise TargetRefusedError("url_malformed", "A URL has no backslash, space or control character.")
    if "#" in url:
        raise TargetRefusedError("fragment_not_allowed", "A fragment is never sent; leave it out.")
    match = _URL.fullmatch(url)
    if match is None:
        raise TargetRefusedError("url_malformed", "Expected https://host[:port]/path.")
    scheme = match["scheme"].lower()
    path, query = match["path"] or "/", (match["query"] or "")[1:]
    if not _PATH.fullmatch(path) or not _QUERY.fullmatch(query):
        raise TargetRefusedError("url_malformed", "Path and query are ASCII; percent-encode the rest.")
    _check_scheme(scheme, rules)
    host, port_text, literal = _read_authority(match["authority"], rules)
    port = int(port_text) if port_text else (443 if scheme == "https" else HTTP_PORT)
    target = Target(scheme, host, port, path, query, literal)
    _check_port(target, rules)
    if literal is not None:
        check_addresses(scheme, port, [literal], rules)
    return target


def check_addresses(scheme: str, port: int, addresses: Sequence[IPAddress], rules: AddressRules) -> None:
    """Refuse to connect if *any* of a host's addresses is denied, not just the one that would be dialled.

    Raises:
        TargetRefusedError: `address_denied`.
    """
    plain = _is_plain(scheme, port)
    for address in addresses:
        if not plain and not in_networks(address, rules.allow_networks):
            raise TargetRefusedError("address_denied", "http and other ports reach only networks the operator opened.")
        reason = deny_reason(address, rules.allow_networks)
        if reason is not None:
            raise TargetRefusedError("address_denied", f"The host has an address that is not public ({reason}).")


def _check_scheme(scheme: str, rules: AddressRules) -> None:
    if scheme == "https" or (scheme == "http" and rules.allow_networks):
        return
    raise TargetRefusedError("scheme_not_allowed", "The scheme must be https.")


def _check_port(target: Target, rules: AddressRules) -> None:
    if _is_plain(target.scheme, target.port) or (rules.allow_networks and 0 < target.port <= MAX_PORT):
        return
    raise TargetRefusedError("port_not_allowed", "The port must be 443 or 8443.")


def _is_plain(scheme: str, port: int) -> bool:
    """Return whether it is https on a safe port; anything else may only reach the operator's networks."""
    return scheme == "https" and port in SAFE_PORTS


def _read_authority(authority: str, rules: AddressRules) -> tuple[str, str | None, IPAddress | None]:
    if "@" in authority:
        raise TargetRefusedError("userinfo_not_allowed", "A URL carries no user name or password.")
    if "%" in authority:
        raise TargetRefusedError("hostname_invalid", "A host is not percent-encoded.")
    if match := _LITERAL_V6.fullmatch(authority):
        try:
            literal: IPAddress = IPv6Address(match["address"])
        except AddressValueError:
            raise TargetRefusedError("hostname_invalid", "The host is not an IPv6 address.") from None
        return _accept_literal(literal, match["port"], rules)
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise TargetRefusedError("hostname_invalid", "Expected host or host:port.")
    host = _to_ascii(match["host"])
    labels = host.split(".")
    # To some parser a host that ends in a number is an IPv4 address: 127.1, 0x7f.1, 2130706433, 0177.0.0.1.
    if _NUMBER.fullmatch(labels[-1]):
        try:
            literal = IPv4Address(host)
        except AddressValueError:
            raise TargetRefusedError("hostname_invalid", "The host is an odd spelling of an address.") from None
        return _accept_literal(literal, match["port"], rules)
    if rules.livemode and (len(labels) == 1 or any(host == name or host.endswith("." + name) for name in _INSIDE)):
        raise TargetRefusedError("host_not_public", "The host is not a public name.")
    return host, match["port"], None


def _accept_literal(
    literal: IPAddress, port: str | None, rules: AddressRules
) -> tuple[str, str | None, IPAddress | None]:
    if rules.livemode:
        raise TargetRefusedError("ip_literal_not_allowed", "Live endpoints are named, not numbered.")
    return str(literal), port, literal


def _to_ascii(host: str) -> str:
    """Return the host as IDNA 2008 A-labels, lower case (UTS 46 mapping, non-transitional)."""
    try:
        ascii_host = host.lower() if host.isascii() else idna.encode(host, uts46=True).decode()
        for label in ascii_host.split("."):
            if label.startswith("xn--"):
                idna.decode(label)  # an A-label that does not decode is a disguise
    except (idna.IDNAError, UnicodeError):
        raise TargetRefusedError("hostname_invalid", "The host is not a valid domain name.") from None
    labels = ascii_host.split(".")
    if len(ascii_host) > MAX_HOST_CHARS or not all(_LABEL.fullmatch(label) for label in labels):
        raise TargetRefusedError("hostname_invalid", "The host is not a valid domain name.")
    return ascii_host
