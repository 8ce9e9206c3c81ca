"""Which addresses are denied, and why; `ipaddress.is_global` alone would let some of them through."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.security.net_guard.addresses import deny_reason

DENIED = {
    "unspecified": "0.0.0.0 0.1.2.3 ::",
    "private": "10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.1.1 fc00::1 fd00:ec2::254 fec0::1",
    "shared": "100.64.0.1 100.100.100.200",
    "loopback": "127.0.0.1 127.255.255.254 ::1",
    "cloud_metadata": "168.63.129.16",
    "link_local": "169.254.169.254 fe80::1 fe80::1%eth0 2606:4700::1111%eth0",
    "reserved": (
        "192.0.0.192 192.31.196.1 192.52.193.1 192.175.48.1 240.0.0.1 255.255.255.255 100::1 "
        "2001:2::1 2001:10::1 2001:20::1 2620:4f:8000::1 5f00::1 4000::1"
    ),
    "documentation": "192.0.2.1 198.51.100.1 203.0.113.1 2001:db8::1 3fff::1",
    "tunnel": "192.88.99.1 2001::7f00:1 2002:7f00:1:: 2002:808:808::1",
    "benchmarking": "198.18.0.1 198.19.255.255",
    "multicast": "224.0.0.1 239.255.255.255 ff02::1",
    "embedded_ipv4": (
        "::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 "
        "64:ff9b::8.8.8.8 64:ff9b:1::a00:1"
    ),
}


@pytest.mark.parametrize(
    ("address", "reason"), [(address, reason) for reason, listed in DENIED.items() for address in listed.split()]
)
def test_an_address_that_is_not_public_is_denied_with_its_reason(address: str, reason: str) -> None:
    assert deny_reason(ip_address(address)) == reason


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"])
def test_a_public_address_is_allowed(address: str) -> None:
    assert deny_reason(ip_address(address)) is None


def test_an_opened_network_is_allowed_and_only_in_its_own_spelling() -> None:
    opened = [ip_network("127.0.0.0/8")]
    assert deny_reason(ip_address("127.0.0.1"), opened) is None
    assert deny_reason(ip_address("::ffff:127.0.0.1"), opened) == "embedded_ipv4"
    assert deny_reason(ip_address("10.0.0.1"), opened) == "private"


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_nothing_is_allowed_that_the_standard_library_denies(address: IPv4Address | IPv6Address) -> None:
    assert deny_reason(address) is not None or (address.is_global and not address.is_multicast)
