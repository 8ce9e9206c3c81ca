"""Why the store of API keys refuses a change; the messages are for an operator at a console."""

from datetime import datetime

from domain.instants import instant_text
from infra.security.api_keys import too_many_live_keys, too_many_overlapping_keys


class KeyStoreError(Exception):
    """Base of what the store refuses a change with."""


class TooManyKeysError(KeyStoreError):
    """The partner has `MAX_LIVE_KEYS` live keys in this mode; the message says what an operator can do."""

    def __init__(self, partner_id: str) -> None:
        keys = "python -m command_api keys"
        super().__init__(
            too_many_live_keys(lists=f"{keys} list --partner {partner_id}", revokes=f"{keys} revoke KEY_ID")
        )


class TooManyOverlappingKeysError(KeyStoreError):
    """`MAX_OVERLAPPING_KEYS` rotated keys of the partner still work in this mode; `key_id` ends first, at `ends_at`."""

    def __init__(self, key_id: str, ends_at: datetime) -> None:
        keys = "python -m command_api keys"
        super().__init__(
            too_many_overlapping_keys(
                ends=f"The first to end is {key_id}, at {instant_text(ends_at)}.",
                rotates="--overlap-minutes 0",
                revokes=f"{keys} revoke KEY_ID",
            )
        )
        self.key_id = key_id
        self.ends_at = ends_at


class UnknownKeyError(KeyStoreError):
    """There is no key with this id, or it is not live."""


class KeyAlreadyMadeError(KeyStoreError):
    """This request made `key_id` before; the secret was shown then and is not kept."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"an earlier request of this name made the key {key_id}")
        self.key_id = key_id


class RequestMismatchError(KeyStoreError):
    """Another request of the same name made `key_id`, at `first_used_at`; a rotation, if it has a `predecessor`."""

    def __init__(self, key_id: str, first_used_at: datetime, predecessor: str | None, fingerprint: bytes) -> None:
        super().__init__(f"another request of this name made the key {key_id}")
        self.key_id = key_id
        self.first_used_at = first_used_at
        self.predecessor = predecessor
        self.fingerprint = fingerprint
