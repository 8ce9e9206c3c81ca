"""Secrets we must be able to read again (webhook signing secrets), encrypted in the database.

AES-256-GCM (NIST SP 800-38D) with a fresh 96-bit nonce per seal and the owner's name as associated data, so that a
sealed value copied to another row does not open there. Form: one byte of format version, nonce, ciphertext with tag.
"""

import base64
import binascii
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

_FORMAT: Final = b"\x01"
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


class SealedSecretError(Exception):
    """A sealed value does not open: another key, another owner, or it was changed."""


class SecretBox:
    """Seals and opens with one key; shows nothing of it."""

    def __init__(self, key: bytes) -> None:
        """Take the 32-byte key; raises ValueError for any other length."""
        if len(key) != _KEY_BYTES:
            raise ValueError("HARBOR_SECURITY__WEBHOOK_SECRETS_KEY must be base64 of 32 bytes")
        self._cipher = AESGCM(key)

    @classmethod
    def from_setting(cls, setting: SecretStr) -> "SecretBox":
        """Take the key as the setting holds it.

        Raises:
            ValueError: not base64 of 32 bytes; the message names the variable and never the value.
        """
        try:
            key = base64.b64decode(setting.get_secret_value(), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        return cls(key)

    def __repr__(self) -> str:
        return "SecretBox(**********)"

    def seal(self, secret: bytes, owner: str) -> bytes:
        """Return the sealed form of `secret`; it opens only under the same `owner`."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, secret, owner.encode())

    def open(self, sealed: bytes, owner: str) -> bytes:
        """Return the secret back.

        Raises:
            SealedSecretError: see there.
        """
        if not sealed.startswith(_FORMAT):
            raise SealedSecretError("unknown format of a sealed secret")
        start = len(_FORMAT) + _NONCE_BYTES
        try:
            return self._cipher.decrypt(sealed[len(_FORMAT) : start], sealed[start:], owner.encode())
        except (InvalidTag, ValueError):
            raise SealedSecretError("a sealed secret does not open with this key") from None
