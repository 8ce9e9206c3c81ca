"""What the lifespan of the command service opens, as handlers find it on a request."""

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from command_api.handle import WritePath
from command_api.metrics import CommandMetrics
from infra.http.app import ServiceState
from infra.postgres.late_pool import LatePool


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The largest request body in bytes, and the seconds within which it must arrive."""

    max_bytes: int
    timeout_s: float


class CommandState(ServiceState):
    """The service's state. `database.pool` is for routes that keep configuration rather than events."""

    writes: WritePath
    bodies: BodyLimits
    partitions: int
    metrics: CommandMetrics
    database: LatePool


def state_of(request: Request) -> CommandState:
    """Give the state that the lifespan opened."""
    return cast(CommandState, request.scope["state"])
