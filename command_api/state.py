"""What the lifespan of the command service opens, as handlers find it on a request."""

from dataclasses import dataclass, field
from typing import cast

from starlette.requests import Request

from command_api.handling.handle import WritePath
from command_api.metrics import CommandMetrics
from command_api.slots import Slots
from infra.http.app import ServiceState
from infra.postgres.deferred_pool import DeferredPool
from infra.security.net_guard.addresses import IPNetwork
from infra.security.net_guard.target import AddressRules
from infra.security.secrets_at_rest import SecretBox


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """What the installation says about webhook endpoints; the rules of their addresses are those of `AddressRules`."""

    box: SecretBox
    allow_networks: tuple[IPNetwork, ...]
    max_endpoints: int
    extra_top_level_domains: tuple[str, ...] = ()

    def rules(self, *, livemode: bool) -> AddressRules:
        """Return the rules for addresses in a mode."""
        return AddressRules.for_mode(
            livemode=livemode,
            allow_networks=self.allow_networks,
            extra_top_level_domains=self.extra_top_level_domains,
        )


@dataclass(frozen=True, slots=True)
class KeyChanges:
    """What changing API keys needs: the HMAC key of their hashes, and slots, so that few changes hold connections."""

    pepper: bytes = field(repr=False)
    slots: Slots


class CommandState(ServiceState):
    """The service's state. `orders_url` is where orders are read.

    `database.pool` is for routes that keep configuration rather than events.
    """

    writes: WritePath
    batches: Slots
    partitions: int
    orders_url: str
    metrics: CommandMetrics
    database: DeferredPool
    webhooks: WebhookConfig
    key_changes: KeyChanges


def state_of(request: Request) -> CommandState:
    """Return the state that the lifespan opened."""
    return cast(CommandState, request.scope["state"])
