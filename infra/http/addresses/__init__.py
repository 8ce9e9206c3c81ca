"""Addresses that both services serve, or that one names for the other, and where clients reach each service."""

from dataclasses import dataclass
from typing import Final, Literal

from infra.settings import PublicSettings

ORDERS: Final = "/api/v1/orders"
WEBHOOK_DELIVERIES: Final = "/api/v1/webhook-deliveries"

ServiceName = Literal["command", "query"]


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """One of the two services. `url` has no slash at its end; empty: clients reach both services at one address."""

    name: ServiceName
    url: str = ""


@dataclass(frozen=True, slots=True)
class Services:
    """The service that speaks, and the other one."""

    own: ServiceAddress
    other: ServiceAddress


def orders_url(settings: PublicSettings) -> str:
    """Return the address of all orders for a client that reads: the query service's."""
    return f"{settings.query_url}{ORDERS}"


def services(own: ServiceName, settings: PublicSettings) -> Services:
    """Return both services as clients reach them, for the service `own`."""
    command, query = ServiceAddress("command", settings.command_url), ServiceAddress("query", settings.query_url)
    return Services(command, query) if own == "command" else Services(query, command)
