r"""What a webhook URL may be. Every hostile line is refused with the code beside it, in the mode it is meant for."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.security.net_guard.target import AddressRules, TargetRefusedError, parse_target

LIVE = AddressRules.for_mode(livemode=True, allow_networks=[ip_network("127.0.0.0/8")])
TEST = AddressRules.for_mode(livemode=False, allow_networks=[])
CONTAINERS = AddressRules.for_mode(livemode=False, allow_networks=[ip_network("172.16.0.0/12")])
DEVELOPMENT = AddressRules.for_mode(livemode=False, allow_networks=[ip_network("127.0.0.0/8"), ip_network("::1/128")])

HOSTILE_IN_LIVE = {
    "scheme_not_allowed": [
        "http://example.com/", "ftp://example.com/", "gopher://example.com/", "file:///etc/passwd",
        "javascript://example.com/%0aalert(1)", "unix://run/docker.sock",
    ],
    "url_malformed": [
        "", "example.com", "//example.com/", "https:/example.com", "https:example.com", " https://example.com/",
        "https://example.com/\r\nX-Injected: 1", "https://example.com/\x00", "https://exa\tmple.com/",
        "https://example.com/a b", "https://8.8.8.8\\@127.0.0.1/", "https://example.com\\.evil.net/",
        "https://example.com/%zz", "https://example.com/ünï", "https://example.com/?q=\u202e",
        "https://example.com/?q=<script>",
    ],
    "fragment_not_allowed": [
        "https://example.com/#@127.0.0.1", "https://example.com#",
    ],
    "userinfo_not_allowed": [
        "https://user@example.com/", "https://user:pass@example.com/", "https://example.com@127.0.0.1/",
        "https://@example.com/",
    ],
    "ip_literal_not_allowed": [
        "https://127.0.0.1/", "https://8.8.8.8/", "https://169.254.169.254/latest/meta-data/", "https://[::1]/",
        "https://[::ffff:127.0.0.1]/", "https://[2606:4700::1111]/", "https://\uff11\uff12\uff17.0.0.1/",
        "https://127。0。0。1/",
    ],
    "hostname_invalid": [
        "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://0177.0.0.1/",
        "https://127.0.0.1.5/", "https://0x/", "https://127.0.0.1./", "https://[::1%25eth0]/", "https://[::1/",
        "https://::1/", "https://[127.0.0.1]/", "https://[v1.fe80::a+en1]/", "https://%31%32%37.0.0.1/",
        "https://exa%6dple.com/", "https:///path", "https://:443/", "https://.example.com/", "https://example..com/",
        "https://example.com./", "https://-example.com/", "https://exa_mple.com/", "https://exa*mple.com/",
        "https://xn--a/", "https://xn--/", "https://\u200dexample.com/", "https://ex\u200bample.com/",
        "https://exam\u00adple.com/", "https://\ufeffexample.com/", "https://b\u00fccher\u2060.com/", "https://\u200b/",
        f"https://{'a' * 64}.com/",
        f"https://{'a.' * 130}com/",
    ],
    "host_not_public": [
        "https://localhost/", "https://LOCALHOST/", "https://redis/", "https://app.localhost/",
        "https://metadata.google.internal/", "https://printer.local/", "https://router.home.arpa/",
        "https://hidden.onion/", "https://foo.invalid/", "https://foo.test/", "https://foo.example/", "https://foo.alt/",
        "https://kubernetes.default.svc/", "https://kubernetes.default.svc.cluster.local/", "https://nas.lan/",
        "https://1.0.0.127.in-addr.arpa/", "https://service.arpa/", "https://host.docker.internal/", "https://www.corp/",
        "https://invalid/", "https://LOCALHOST.LocalDomain/", "https://bücher.example/", "https://kubernetes.default/",
        "https://billing.production/", "https://vault.service.consul/", "https://api.docker/", "https://api.k8s/",
        "https://api.cluster/", "https://home.router/", "https://my.belkin/", "https://a.notatld/",
        "https://a.xn--bcher-kva/", "https://onion/", "https://com/",
    ],
    "port_not_allowed": [
        "https://example.com:22/", "https://example.com:0/", "https://example.com:80/", "https://example.com:99999/",
        "https://example.com:/", "https://example.com:443:80/", "https://example.com:-1/", "https://example.com:٤٤٣/",
        "https://example.com:https/",
    ],
    "url_too_long": [
        f"https://example.com/{'a' * 2048}",
    ],
}  # fmt: skip

HOSTILE_IN_TEST = [
    ("http://example.com/", "scheme_not_allowed"),
    ("https://example.com:6379/", "port_not_allowed"),
    ("https://127.0.0.1/", "address_denied"),
    ("https://[::ffff:7f00:1]/", "address_denied"),
    ("https://[::127.0.0.1]/", "address_denied"),
    ("https://[64:ff9b::7f00:1]/", "address_denied"),
    ("https://[2002:7f00:1::]/", "address_denied"),
    ("https://foo.invalid/", "host_not_public"),
    ("https://redis/", "host_not_public"),
]

HOSTILE_IN_DEVELOPMENT = [
    ("http://10.0.0.1/", "address_denied"),
    ("http://8.8.8.8/", "address_denied"),
    ("https://8.8.8.8:6379/", "address_denied"),
    ("http://[::ffff:127.0.0.1]:8080/", "address_denied"),
    ("http://127.0.0.1:0/", "port_not_allowed"),
    ("http://127.0.0.1:70000/", "port_not_allowed"),
    ("http://8.8.8.8\\@127.0.0.1/", "url_malformed"),
    ("http://user@127.0.0.1/", "userinfo_not_allowed"),
    ("http://example.com/", "scheme_not_allowed"),
    ("http://example.com:9000/", "scheme_not_allowed"),
    ("https://example.com:9000/", "port_not_allowed"),
    ("http://notlocalhost/", "host_not_public"),
    ("https://foo.invalid/", "host_not_public"),
]


@pytest.mark.parametrize(
    ("rules", "url", "code"),
    [(LIVE, url, code) for code, urls in HOSTILE_IN_LIVE.items() for url in urls]
    + [(TEST, *case) for case in HOSTILE_IN_TEST]
    + [(DEVELOPMENT, *case) for case in HOSTILE_IN_DEVELOPMENT],
)
def test_a_hostile_url_is_refused_with_its_code(rules: AddressRules, url: str, code: str) -> None:
    with pytest.raises(TargetRefusedError) as refused:
        parse_target(url, rules)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("rules", "url", "canonical"),
    [
        (LIVE, "https://example.com", "https://example.com/"),
        (LIVE, "HTTPS://Example.COM:443/Hook?a=1&b=%20", "https://example.com/Hook?a=1&b=%20"),
        (LIVE, "https://example.com/x?", "https://example.com/x?"),
        (LIVE, "https://example.com?", "https://example.com/?"),
        (LIVE, "https://example.com/x??a=?", "https://example.com/x??a=?"),
        (LIVE, "https://hooks.example.com:8443/x", "https://hooks.example.com:8443/x"),
        (LIVE, "https://bücher.com/x", "https://xn--bcher-kva.com/x"),
        (LIVE, "https://faß.de/", "https://xn--fa-hia.de/"),
        (LIVE, "https://internal.example.com/", "https://internal.example.com/"),
        (LIVE, "https://hooks.ck/", "https://hooks.ck/"),
        (LIVE, "https://hooks.production.run.app/", "https://hooks.production.run.app/"),
        (LIVE, "https://пример.рф/", "https://xn--e1afmkfd.xn--p1ai/"),
        (LIVE, "https://例.中国/", "https://xn--fsq.xn--fiqs8s/"),
        (LIVE, "https://test.svc.example.com/", "https://test.svc.example.com/"),
        (TEST, "https://8.8.8.8/", "https://8.8.8.8/"),
        (DEVELOPMENT, "http://127.0.0.1:9000/hook", "http://127.0.0.1:9000/hook"),
        (DEVELOPMENT, "http://localhost:9000/hook", "http://localhost:9000/hook"),
        (DEVELOPMENT, "http://[::1]:9000/", "http://[::1]:9000/"),
        (DEVELOPMENT, "http://hooks.localhost:9000/", "http://hooks.localhost:9000/"),
        (CONTAINERS, "http://receiver:9000/", "http://receiver:9000/"),
        (CONTAINERS, "http://hooks.test/", "http://hooks.test/"),
    ],
)
def test_an_honest_url_is_kept_in_canonical_form(rules: AddressRules, url: str, canonical: str) -> None:
    target = parse_target(url, rules)
    assert target.url == canonical
    assert parse_target(target.url, rules) == target


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("example.com/hook", "begins with https://"),
        ("ftp://example.com/", "The scheme must be https."),
        ("https://exam ple.com/", "has a space: its character 13"),
        ("https://example.com\\@evil.net/", "has a backslash: its character 20"),
        ("https://example.com/\n", "has a control character: its character 21"),
        ("https://example.com/#top", "A fragment (# and what follows)"),
        ("https://example.com/{tenant}", "The path has a character to be written as %7B: its character 2"),
        ("https://example.com/?q=ü", "The query has a character to be written as %C3%BC: its character 3"),
        ("https://example.com/100%", "The path has a % without two hexadecimal digits: its character 5"),
        ("https://me:secret@example.com/", "leave out the @ part"),
        ("https://8.8.8.8/", "use a host name"),
        ("https://[::zz]/", "brackets"),
        ("https:///hook", "no host"),
        ("https://my_host.example.com/", "underscore"),
        ("https://example.com./", "ends in a dot"),
        ("https://example..com/", "two in a row"),
        ("https://-a.example.com/", "hyphen"),
        (f"https://{'a' * 64}.com/", "longer than 63"),
        (f"https://{'a.' * 130}com/", "at most 253"),
        ("https://exa*mple.com/", "other than letters, digits"),
        ("https://\u200dexample.com/", "IDNA 2008"),
        ("https://ex\u200bample.com/", "The host has an invisible character (U+200B): its character 3."),
        ("https://xn--a/", "valid A-label"),
        ("https://example.com:abc/", "not a port number"),
        ("https://example.com:8080/", "443 or 8443"),
        ("https://example.com:0/", "from 1 to 65535"),
        ("https://example.com:65536/", "from 1 to 65535"),
        ("https://redis/", "one part only"),
        ("https://foo.invalid/", "does not end in a top-level domain that exists"),
        (f"https://example.com/{'a' * 2048}", "this has 2068"),
    ],
)
def test_a_refusal_names_the_part_that_is_wrong(url: str, part: str) -> None:
    with pytest.raises(TargetRefusedError) as refused:
        parse_target(url, LIVE)
    assert part in refused.value.detail
    assert "secret" not in refused.value.detail


def test_a_top_level_domain_newer_than_the_list_is_public_as_soon_as_the_operator_names_it() -> None:
    named = AddressRules.for_mode(livemode=True, allow_networks=[], extra_top_level_domains=["brandnew"])

    assert parse_target("https://hooks.brandnew/", named).host == "hooks.brandnew"
    for still_refused in ("https://brandnew/", "https://hooks.brandnew.notatld/"):
        with pytest.raises(TargetRefusedError, match="not a public name"):
            parse_target(still_refused, named)


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_a_number_that_no_port_has_is_called_so_where_every_port_is_open(port: str) -> None:
    with pytest.raises(TargetRefusedError, match="A port is a number from 1 to 65535"):
        parse_target(f"http://127.0.0.1:{port}/", DEVELOPMENT)


def test_the_operators_networks_count_in_test_mode_only() -> None:
    assert LIVE.allow_networks == ()
    with pytest.raises(TargetRefusedError):
        parse_target("http://127.0.0.1:9000/", LIVE)


@given(st.text(max_size=60), st.sampled_from(["", "https://", "https://example.com", "http://127.0.0.1", "https://["]))
def test_any_text_is_parsed_to_a_stable_target_or_refused(text: str, start: str) -> None:
    for rules in (LIVE, TEST, DEVELOPMENT):
        try:
            target = parse_target(start + text, rules)
        except TargetRefusedError:
            continue
        assert parse_target(target.url, rules) == target
        assert target.host.isascii()
