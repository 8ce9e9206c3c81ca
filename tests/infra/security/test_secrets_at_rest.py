"""Sealed secrets: they open with the key and the owner they were sealed with, and show nothing else."""

import base64

import pytest
from pydantic import SecretStr

from infra.security.secrets_at_rest import SealedSecretError, SecretBox

KEY = bytes(range(32))


def test_a_sealed_secret_opens_again() -> None:
    box = SecretBox.from_setting(SecretStr(base64.b64encode(KEY).decode()))
    assert box.open(box.seal(b"secret", "endpoint-1"), "endpoint-1") == b"secret"
    assert box.seal(b"secret", "endpoint-1") != box.seal(b"secret", "endpoint-1")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01short", b"\x02" + bytes(40), b"\x01" + bytes(40)])
def test_what_was_not_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(SealedSecretError):
        SecretBox(KEY).open(sealed, "owner")


@pytest.mark.parametrize(("key", "owner"), [(KEY, "endpoint-2"), (bytes(32), "endpoint-1")])
def test_a_sealed_secret_opens_only_with_its_key_for_its_owner(key: bytes, owner: str) -> None:
    with pytest.raises(SealedSecretError):
        SecretBox(key).open(SecretBox(KEY).seal(b"secret", "endpoint-1"), owner)


@pytest.mark.parametrize("setting", ["", "not base64!", "c2hvcnQ=", base64.b64encode(bytes(33)).decode()])
def test_a_key_of_another_length_is_refused_without_showing_it(setting: str) -> None:
    with pytest.raises(ValueError, match="HARBOR_SECURITY__WEBHOOK_SECRETS_KEY") as refused:
        SecretBox.from_setting(SecretStr(setting))
    assert not setting or setting not in str(refused.value)
    assert repr(SecretBox(KEY)) == "SecretBox(**********)"
