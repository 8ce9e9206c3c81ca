"""The endpoints' signing secrets as the dispatcher opens them, and whether its key is the right one."""

from collections.abc import Sequence
from uuid import UUID

from infra.observability.health import NotReadyReason
from infra.observability.logs import get_logger
from infra.security.secrets_at_rest import SealedSecretError, SecretBox


class EndpointSecrets:
    """Opens sealed secrets; one that cannot be opened is logged once, and a key that opens none is noticed."""

    def __init__(self, box: SecretBox) -> None:
        self._box = box
        self._unreadable: set[UUID] = set()
        self._is_key_wrong = False

    @property
    def unreadable(self) -> int:
        """How many endpoints have a secret that cannot be opened, as far as was tried."""
        return len(self._unreadable)

    def waiting_for(self) -> tuple[NotReadyReason, ...]:
        """Return why nothing can be signed; nothing when it can."""
        return ("secrets_key_wrong",) if self._is_key_wrong else ()

    def open(self, endpoint_id: UUID, sealed: bytes) -> bytes | None:
        """Return the secret of an endpoint; None: this key did not seal it."""
        try:
            secret = self._box.open(sealed, str(endpoint_id))
        except SealedSecretError:
            if endpoint_id not in self._unreadable and not self._is_key_wrong:
                get_logger().error("delivery.secret_unreadable", endpoint_id=str(endpoint_id))
            self._unreadable.add(endpoint_id)
            return None
        self._unreadable.discard(endpoint_id)
        return secret

    def judge(self, sealed: Sequence[tuple[UUID, bytes]]) -> None:
        """Take a key that opens none of some stored secrets for a wrong one: one line for all of them."""
        is_wrong = bool(sealed) and not any(self._fits(endpoint_id, secret) for endpoint_id, secret in sealed)
        if is_wrong and not self._is_key_wrong:
            get_logger().error(
                "dispatcher.waiting",
                waiting_for="secrets_key_wrong",
                reason="HARBOR_SECURITY__WEBHOOK_SECRETS_KEY does not open the endpoints' secrets: nothing can be "
                "signed, and no attempt is made; start the dispatcher with the key of the command service",
            )
        self._is_key_wrong = is_wrong
        if not is_wrong:
            for endpoint_id, secret in sealed:
                self.open(endpoint_id, secret)

    def forget(self, endpoint_id: UUID) -> None:
        """Note that nothing is to be sent to an endpoint."""
        self._unreadable.discard(endpoint_id)

    def _fits(self, endpoint_id: UUID, sealed: bytes) -> bool:
        try:
            self._box.open(sealed, str(endpoint_id))
        except SealedSecretError:
            return False
        return True
