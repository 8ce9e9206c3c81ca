"""Ambiguous framing is refused by the service as well, not only by the parser in front of it."""

import pytest
from starlette.types import Scope

from infra.http.guards import Limits, check, read_head

LIMITS = Limits(max_in_flight=1, deadline_s=1.0, max_body_bytes=1000)
CHUNKED = (b"transfer-encoding", b"chunked")


@pytest.mark.parametrize(
    ("version", "hosts", "code"),
    [
        ("1.1", [], "host_invalid"),
        ("1.1", [b""], None),
        ("1.0", [], None),
        ("1.0", [b""], None),
        ("1.0", [b"a", b"b"], "host_invalid"),
        ("2", [], "host_invalid"),
    ],
)
def test_only_http_1_0_may_leave_out_the_host_and_any_may_leave_it_empty(
    version: str, hosts: list[bytes], code: str | None
) -> None:
    headers = [(b"host", each) for each in hosts]
    scope: Scope = {"http_version": version, "path": "/livez", "query_string": b"", "headers": headers}

    problem = check(scope, read_head(scope), LIMITS)

    assert (problem.kind.code if problem else None) == code


def test_the_lines_of_a_list_are_one_list() -> None:
    headers = [(b"if-match", b'"1" '), (b"accept", b"text/html"), (b"if-match", b' "2"'), (b"accept", b"*/*")]

    head = read_head({"headers": headers, "query_string": b""})

    assert (head.single, head.repeated) == ({b"if-match": b'"1","2"', b"accept": b"text/html,*/*"}, None)


def length(value: bytes) -> tuple[bytes, bytes]:
    return b"content-length", value


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param([length(b"2"), length(b"2")], "framing_ambiguous", id="two lengths"),
        pytest.param([length(b"2"), CHUNKED], "framing_ambiguous", id="length and chunking"),
        pytest.param([CHUNKED, CHUNKED], "framing_ambiguous", id="chunked twice"),
        pytest.param([(b"transfer-encoding", b"gzip, chunked")], "malformed_request", id="another coding"),
        pytest.param([length(b"+2")], "malformed_request", id="a signed length"),
        pytest.param([length(b"1" + b"0" * 5000)], "body_too_large", id="a length of 10^5000"),
        pytest.param([length(b"1000")], None, id="a good length"),
        pytest.param([CHUNKED], None, id="chunked"),
        pytest.param([(b"content-encoding", b"gzip")], "content_encoding_unsupported", id="gzip"),
        pytest.param([(b"content-encoding", b"identity")], None, id="identity"),
        pytest.param([(b"content-encoding", b" ")], None, id="no coding"),
    ],
)
def test_only_one_plain_framing_without_coding_is_accepted(
    headers: list[tuple[bytes, bytes]], code: str | None
) -> None:
    scope: Scope = {
        "http_version": "1.1",
        "path": "/api/v1/orders",
        "query_string": b"",
        "headers": [(b"host", b"harbor.test"), *headers],
    }

    problem = check(scope, read_head(scope), LIMITS)

    assert (problem.kind.code if problem else None) == code
