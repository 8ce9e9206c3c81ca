"""The `servers` of an OpenAPI document: where the service is, or where it may be."""

from typing import Any

from infra.http.addresses import ServiceAddress


def servers(service: ServiceAddress) -> list[dict[str, Any]]:
    """Return those of the document that a service serves: its own address, by which clients reach it."""
    return [{"url": service.url or "/", "description": f"the {service.name} service"}]


def servers_anywhere(service: ServiceAddress, local_port: int) -> list[dict[str, Any]]:
    """Return those of a document that belongs to no installation: an address to fill in, by default the local one."""
    address = {"default": f"http://127.0.0.1:{local_port}", "description": "scheme, host and port"}
    description = f"the {service.name} service of an installation; by default that of `make up`"
    return [{"url": "{address}", "description": description, "variables": {"address": address}}]
