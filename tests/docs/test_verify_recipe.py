"""The shell functions of the guide verify what was signed and nothing else, whatever a sender writes in its headers."""

import re
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from standardwebhooks import Webhook

from infra.local.home import CHECKOUT

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY: Final = b'{"note": "line\\n", "n": 1}\n'


def verify(directory: Path, shell: str, and_then: str = "", **given: str) -> tuple[int, str, str]:
    """Return the exit status of `verify`, what it prints, and its errors, for a signed body but for what is given."""
    [functions] = re.findall(
        r"^```sh\n(signature\(\).*?^}\n)\n",
        (CHECKOUT / "docs/guides/partners.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    now_s = int(time.time())
    (directory / "body").write_bytes(BODY)
    values = {
        "secret": SECRET,
        "id": "evt_1",
        "timestamp": str(now_s),
        "signatures": Webhook(SECRET).sign("evt_1", datetime.fromtimestamp(now_s, UTC), BODY.decode()),
        "body": "body",
    } | given
    done = subprocess.run(  # noqa: S603  # the guide's own functions
        [shell, "-c", f'{functions}\n{and_then}\nverify "$@"', shell, *values.values()],
        cwd=directory, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(params=["/bin/sh", "/bin/bash"])
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_what_was_signed_verifies_also_among_other_signatures(tmp_path: Path, shell: str) -> None:
    now_s = int(time.time())
    signature = Webhook(SECRET).sign("evt_1", datetime.fromtimestamp(now_s, UTC), BODY.decode())

    for signatures in (signature, f"v1,AAAA {signature} v1a,B"):
        verified = verify(tmp_path, shell, timestamp=str(now_s), signatures=signatures)
        assert verified == (0, "verified\n", ""), signatures


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_AA==", f"whsec_Mf!{SECRET}"])
def test_nothing_verifies_without_a_key(tmp_path: Path, shell: str, secret: str) -> None:
    for signatures in ("v1,", "", "*"):
        status, said, errors = verify(tmp_path, shell, secret=secret, signatures=signatures)
        assert (status, said) == (1, "")
        assert "the secret is not whsec_ and base64" in errors


@pytest.mark.parametrize("signatures", ["v1,", "", "*", "v1,*", "v1,x", "verified"])
def test_another_signature_does_not_verify(tmp_path: Path, shell: str, signatures: str) -> None:
    assert verify(tmp_path, shell, signatures=signatures) == (1, "not signed with this secret\n", "")


@pytest.mark.parametrize(
    "timestamp",
    [
        *("a[$(touch ran)]", "$(touch ran)", "`touch ran`", "age", "x=1", "", " ", "-1", "+1", "0x7fffffff", "0"),
        *("01795000000", "1795000000.5", "1 795000000", "1795000000 ", "*", "9" * 12, "9" * 400, "١٧٩٥٠٠٠٠٠٠"),
    ],
)
def test_a_timestamp_that_is_no_number_is_refused_and_never_run(tmp_path: Path, shell: str, timestamp: str) -> None:
    refused = verify(tmp_path, shell, timestamp=timestamp)

    assert refused == (1, "the timestamp is not in seconds since 1970\n", "")
    assert [each.name for each in tmp_path.iterdir()] == ["body"]


@pytest.mark.parametrize("header", ["id", "signatures"])
def test_what_stands_in_a_header_is_never_run(tmp_path: Path, shell: str, header: str) -> None:
    refused = verify(tmp_path, shell, **{header: "$(touch ran) `touch ran` ; touch ran\n%s%n\\"})

    assert refused == (1, "not signed with this secret\n", "")
    assert [each.name for each in tmp_path.iterdir()] == ["body"]


@pytest.mark.parametrize("body", ["nowhere", ".", ""])
def test_a_body_that_cannot_be_read_does_not_verify(tmp_path: Path, shell: str, body: str) -> None:
    now_s = int(time.time())
    without_body = Webhook(SECRET).sign("evt_1", datetime.fromtimestamp(now_s, UTC), "")

    refused = verify(tmp_path, shell, timestamp=str(now_s), signatures=without_body, body=body)

    assert refused == (1, "", "the body is not a file that can be read\n")


def test_nothing_verifies_where_openssl_fails(tmp_path: Path, shell: str) -> None:
    for broken in ("openssl() { return 1; }", 'openssl() { test $1 = base64 && command openssl "$@"; }'):
        for signatures in ("", "v1,"):
            status, said, _ = verify(tmp_path, shell, signatures=signatures, and_then=broken)
            assert (status, said) == (1, "")
