"""Encryption of secrets that we must read again (webhook signing secrets) in the database.

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
    """A sealed value does not open: it has another key or owner, or it was changed."""


class SecretBox:
    """Seals and opens secrets with one key, which it never shows."""

    def __init__(self, key: bytes) -> None:
        """Take the 32-byte key; raise ValueError for another length."""
        if len(key) != _KEY_BYTES:
            raise ValueError("HARBOR_SECURITY__WEBHOOK_SECRETS_KEY must be base64 of 32 bytes")
        self._cipher = AESGCM(key)

    @classmethod
    def from_setting(cls, setting: SecretStr) -> "SecretBox":
        """Return a box with the key of a setting.

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
        """Return the secret.

        Raises:
            SealedSecretError: another key or owner sealed it, or it was changed.
        """
        if not sealed.startswith(_FORMAT):
            raise SealedSecretError("unknown format of a sealed secret")
        start = len(_FORMAT) + _NONCE_BYTES
        try:
            return self._cipher.decrypt(sealed[len(_FORMAT) : start], sealed[start:], owner.encode())
        except (InvalidTag, ValueError):
            raise SealedSecretError("a sealed secret does not open with this key") from None
