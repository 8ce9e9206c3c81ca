"""Which addresses may be dialled: our own table, because `ipaddress.is_global` calls too many of them public.

It misses IPv4 inside IPv6 (`::127.0.0.1`, NAT64, 6to4, Teredo), `fec0::/10`, `5f00::/16`, multicast, `192.88.99.0/24`
and public addresses that only cloud hosts answer. For IPv6 the rule is reversed: only `2000::/3` is allowed, less the
ranges listed. Sources: the IANA special-purpose address registries for IPv4 and IPv6.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_DENIED_V4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared"),  # carrier-grade NAT; some clouds keep their metadata here
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud_metadata"),  # public by number, answered by the host of a cloud machine
        ("169.254.0.0/16", "link_local"),  # cloud metadata lives here too
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "reserved"),  # AS112
        ("192.52.193.0/24", "reserved"),  # automatic multicast tunnelling
        ("192.88.99.0/24", "tunnel"),  # 6to4 relays
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved"),  # AS112
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),  # and the limited broadcast address
    )
)

_PUBLIC_V6 = IPv6Network("2000::/3")

_DENIED_V6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "embedded_ipv4"),  # IPv4-mapped
        ("::ffff:0:0:0/96", "embedded_ipv4"),  # IPv4-translated
        ("::/96", "embedded_ipv4"),  # IPv4-compatible
        ("64:ff9b::/96", "embedded_ipv4"),  # NAT64
        ("64:ff9b:1::/48", "embedded_ipv4"),  # NAT64 of the local network
        ("100::/64", "reserved"),  # discard
        ("2001::/32", "tunnel"),  # Teredo
        ("2001::/23", "reserved"),  # protocol assignments, benchmarking, ORCHID
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "tunnel"),  # 6to4
        ("2620:4f:8000::/48", "reserved"),  # AS112
        ("3fff::/20", "documentation"),
        ("5f00::/16", "reserved"),  # segment routing
        ("fc00::/7", "private"),
        ("fe80::/10", "link_local"),
        ("fec0::/10", "private"),  # site-local, deprecated and still routed by some
        ("ff00::/8", "multicast"),
    )
)


def deny_reason(address: IPAddress, allow_networks: Sequence[IPNetwork] = ()) -> str | None:
    """Return why an address must not be dialled; None when it may be.

    Args:
        address: what a name resolved to, or the literal in a URL.
        allow_networks: networks the operator opened although they are not public (test mode only). They never include
            IPv4 addresses written inside IPv6: nobody needs that spelling.
    """
    if in_networks(address, allow_networks):
        return None
    if isinstance(address, IPv4Address):
        found = next((reason for network, reason in _DENIED_V4 if address in network), None)
    else:
        found = next((reason for network, reason in _DENIED_V6 if address in network), None)
        if found is None and address not in _PUBLIC_V6:
            found = "reserved"
        if found is None and address.scope_id is not None:
            found = "link_local"
    # The library's table comes second, so that what a later registry entry closes is closed here too.
    return found or (None if address.is_global else "not_global")


def in_networks(address: IPAddress, networks: Sequence[IPNetwork]) -> bool:
    """Return whether an address lies in one of the networks; the two families never match each other."""
    return any(address.version == network.version and address in network for network in networks)
