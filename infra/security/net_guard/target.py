r"""One parser for the URLs partners give us, from save to dial.

It is stricter than any standard on purpose: requests reach the inside when two parsers disagree about one odd URL
(`http://8.8.8.8\@127.0.0.1/` has two hosts to two parsers). Whatever is not plainly one scheme, host, port and path is
refused with a code. The sender builds its request from the parsed parts, never from the text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from infra.security.net_guard.addresses import IPAddress, IPNetwork, deny_reason, in_networks
from infra.security.net_guard.names import HostNameError, is_loopback, is_public_name, read_name

MAX_URL_CHARS = 2048
SAFE_PORTS = frozenset({443, 8443})
HTTP_PORT = 80
MAX_PORT = 65535

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?")
_LITERAL_V6 = re.compile(r"\[(?P<address>[0-9a-fA-F:.]+)\](?::(?P<port>[0-9]{1,5}))?")
_AUTHORITY = re.compile(r"(?P<host>[^:\[\]]*)(?::(?P<port>.*))?")
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_REST = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_CONTROLS = 0x20
_DELETE = 0x7F


class TargetRefusedError(Exception):
    """A URL or an address must not be dialled; `code` is stable and safe to show to the partner."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What may be dialled for one mode. In live mode `allow_networks` is empty by construction (`for_mode`).

    `extra_top_level_domains` are names that the operator knows to be public although the list of them does not; which
    addresses may be dialled they do not change.
    """

    livemode: bool
    allow_networks: tuple[IPNetwork, ...] = ()
    extra_top_level_domains: tuple[str, ...] = ()

    @classmethod
    def for_mode(
        cls, *, livemode: bool, allow_networks: Sequence[IPNetwork], extra_top_level_domains: Sequence[str] = ()
    ) -> "AddressRules":
        """Return the rules of a mode; the operator's networks count in test mode only."""
        return cls(livemode, () if livemode else tuple(allow_networks), tuple(extra_top_level_domains))

    def may_open(self, name: str) -> bool:
        """Return whether a name may lead into the operator's networks; what it does lead to, dialling will show."""
        if all(network.is_loopback for network in self.allow_networks):
            return bool(self.allow_networks) and is_loopback(name)
        return True


@dataclass(frozen=True, slots=True)
class Target:
    """One parsed URL. `host` is lower-case ASCII; `literal` is set when it is an address and not a name.

    `query` begins with its question mark; it is empty where there is none.
    """

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
        return f"{self.scheme}://{host}{port}{self.path}{self.query}"


def parse_target(url: str, rules: AddressRules) -> Target:
    """Parse one URL by the rules of its mode, without resolving its name.

    Raises:
        TargetRefusedError: with a code of `url_too_long`, `url_malformed`, `scheme_not_allowed`,
            `userinfo_not_allowed`, `hostname_invalid`, `host_not_public`, `ip_literal_not_allowed`, `port_not_allowed`,
            `fragment_not_allowed`, `address_denied`.
    """
    if len(url) > MAX_URL_CHARS:
        raise TargetRefusedError("url_too_long", f"A URL has at most {MAX_URL_CHARS} characters; this has {len(url)}.")
    _check_characters(url)
    match = _URL.fullmatch(url)
    if match is None:
        raise TargetRefusedError("url_malformed", "A URL begins with https:// and the host: https://host[:port]/path.")
    scheme = match["scheme"].lower()
    path, query = match["path"] or "/", match["query"] or ""
    _check_scheme(scheme, rules)
    host, port_text, literal = _read_authority(match["authority"], rules)
    _check_rest("path", path)
    _check_rest("query", query[1:])
    target = Target(scheme, host, _read_port(scheme, port_text, rules), path, query, literal)
    if literal is not None:
        check_addresses(scheme, target.port, [literal], rules)
    else:
        _check_name(target, rules)
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


def _check_characters(url: str) -> None:
    for place, character in enumerate(url, start=1):
        name = {"\\": "backslash", " ": "space"}.get(character)
        if ord(character) < _CONTROLS or ord(character) == _DELETE:
            name = "control character"
        if name:
            raise TargetRefusedError("url_malformed", f"The URL has a {name}: its character {place}.")
    if "#" in url:
        raise TargetRefusedError("fragment_not_allowed", "A fragment (# and what follows) is never sent; leave it out.")


def _check_rest(part: str, text: str) -> None:
    """Refuse what must be percent-encoded in a path or query, and name the first character of it."""
    found = _REST.match(text)
    place = found.end() if found else 0
    if place < len(text):
        character = text[place]
        code = "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))
        how = "a % without two hexadecimal digits" if character == "%" else f"a character to be written as {code}"
        raise TargetRefusedError("url_malformed", f"The {part} has {how}: its character {place + 1}.")


def _check_scheme(scheme: str, rules: AddressRules) -> None:
    if scheme == "https" or (scheme == "http" and rules.allow_networks):
        return
    raise TargetRefusedError("scheme_not_allowed", "The scheme must be https.")


def _read_port(scheme: str, text: str | None, rules: AddressRules) -> int:
    if text is not None and not _PORT.fullmatch(text):
        raise TargetRefusedError("port_not_allowed", "What follows the colon after the host is not a port number.")
    port = int(text) if text else (443 if scheme == "https" else HTTP_PORT)
    if not 0 < port <= MAX_PORT:
        raise TargetRefusedError("port_not_allowed", f"A port is a number from 1 to {MAX_PORT}.")
    if _is_plain(scheme, port) or rules.allow_networks:
        return port
    raise TargetRefusedError("port_not_allowed", "The port must be 443 or 8443.")


def _check_name(target: Target, rules: AddressRules) -> None:
    """Refuse a name that dialling would have to refuse, whatever it resolves to."""
    if rules.may_open(target.host):
        return
    if not is_public_name(target.host, rules.extra_top_level_domains):
        what = "has one part only" if "." not in target.host else "does not end in a top-level domain that exists"
        raise TargetRefusedError("host_not_public", f"The host is not a public name: it {what}.")
    if target.scheme != "https":
        raise TargetRefusedError("scheme_not_allowed", "The scheme must be https; http reaches this machine alone.")
    if target.port not in SAFE_PORTS:
        raise TargetRefusedError("port_not_allowed", "The port must be 443 or 8443, except on this machine.")


def _is_plain(scheme: str, port: int) -> bool:
    """Return whether it is https on a safe port; anything else may only reach the operator's networks."""
    return scheme == "https" and port in SAFE_PORTS


def _read_authority(authority: str, rules: AddressRules) -> tuple[str, str | None, IPAddress | None]:
    if "@" in authority:
        raise TargetRefusedError(
            "userinfo_not_allowed", "A URL carries no user name or password: leave out the @ part."
        )
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
        raise TargetRefusedError("hostname_invalid", "The brackets of the host do not hold an IPv6 address.")
    if not match["host"]:
        raise TargetRefusedError("hostname_invalid", "The URL has no host.")
    try:
        host = read_name(match["host"])
    except HostNameError as error:
        raise TargetRefusedError("hostname_invalid", str(error)) from None
    # To some parser a host that ends in a number is an IPv4 address: 127.1, 0x7f.1, 2130706433, 0177.0.0.1.
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            literal = IPv4Address(host)
        except AddressValueError:
            raise TargetRefusedError("hostname_invalid", "The host is an odd spelling of an address.") from None
        return _accept_literal(literal, match["port"], rules)
    return host, match["port"], None


def _accept_literal(
    literal: IPAddress, port: str | None, rules: AddressRules
) -> tuple[str, str | None, IPAddress | None]:
    if rules.livemode:
        raise TargetRefusedError("ip_literal_not_allowed", "Live endpoints are named, not numbered: use a host name.")
    return str(literal), port, literal
