"""Signatures: the specification's own check vector, and the official package as judge."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from projections.webhooks.signing import sign

SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_vector_of_the_specification_is_met() -> None:
    secret = Webhook(f"whsec_{SECRET}")._whsecret
    signature = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [secret])
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_during_a_rotation_both_secrets_sign() -> None:
    assert (
        sign("id", 1, b"{}", [b"old", b"new"]) == f"{sign('id', 1, b'{}', [b'old'])} {sign('id', 1, b'{}', [b'new'])}"
    )


@given(st.binary(min_size=1, max_size=64), st.text(max_size=100))
def test_the_official_package_verifies_what_we_sign(secret: bytes, text: str) -> None:
    body, now = text.encode(errors="replace"), datetime.now(UTC)
    headers = {
        "webhook-id": "e1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": sign("e1", int(now.timestamp()), body, [secret]),
    }
    Webhook(secret).verify(body, headers, json_parse=False)
