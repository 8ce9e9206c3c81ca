"""Which layer of the service a sampled stack belongs to, and what each layer costs per request. Pure.

A stack belongs to the innermost of its frames that a rule knows; leaf modules that many layers use (money, text, ids)
have no rule, so their time counts for whoever called them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from tests.bench.model import Layer

EVENT_LOOP: Final = "event loop, sockets, everything else"

RULES: Final = (
    ("structlog/", "log line"),
    ("infra/observability/logs.py", "log line"),
    ("prometheus_client/", "metrics"),
    ("infra/http/metrics.py", "metrics"),
    ("command_api/metrics.py", "metrics"),
    ("infra/http/auth.py", "API key, rate limit"),
    ("infra/security/api_keys.py", "API key, rate limit"),
    ("infra/security/api_key_store.py", "API key, rate limit"),
    ("infra/security/key_cache.py", "API key, rate limit"),
    ("infra/redis/", "API key, rate limit"),
    ("infra/http/json_body.py", "read and parse the body"),
    ("command_api/orders/bodies.py", "validate: shape and money"),
    ("command_api/handling/idempotency.py", "idempotency key, fingerprint"),
    ("domain/order/decide.py", "decide"),
    ("domain/order/decisions/", "decide"),
    ("domain/order/state.py", "evolve"),
    ("domain/codec.py", "encode the event"),
    ("domain/order/document.py", "render the answer"),
    ("command_api/handling/handle.py", "handle: envelope, append command"),
    ("command_api/handling/order_state_cache.py", "handle: envelope, append command"),
    ("command_api/handling/order_locks.py", "handle: envelope, append command"),
    ("infra/postgres/append", "append: batching, arguments, driver"),
    ("infra/event_store/conflict_queue.py", "append: batching, arguments, driver"),
    ("infra/event_store/protocol.py", "append: batching, arguments, driver"),
    ("command_api/handling/deferred_store.py", "append: batching, arguments, driver"),
    ("asyncpg/", "append: batching, arguments, driver"),
    ("command_api/handling/requests.py", "route: request in, answer out"),
    ("command_api/orders/routes.py", "route: request in, answer out"),
    ("infra/partitioning.py", "route: request in, answer out"),
    ("infra/http/context.py", "gate: id, checks, deadline, headers"),
    ("infra/http/guards.py", "gate: id, checks, deadline, headers"),
    ("infra/http/middleware.py", "gate: id, checks, deadline, headers"),
    ("infra/http/admission.py", "gate: id, checks, deadline, headers"),
    ("infra/deadlines.py", "gate: id, checks, deadline, headers"),
    ("infra/http/server/raw_route.py", "framework: routing, request, response"),
    ("infra/http/server/route_table.py", "framework: routing, request, response"),
    ("starlette/", "framework: routing, request, response"),
    ("fastapi/", "framework: routing, request, response"),
    ("uvicorn/", "HTTP server"),
    ("infra/http/server/server.py", "HTTP server"),
    ("infra/http/server/coalescing_transport.py", "HTTP server"),
)
"""Prefix of a frame -> layer; the first that fits."""

LAYERS: Final = tuple(dict.fromkeys([*(layer for _, layer in reversed(RULES)), EVENT_LOOP]))
"""Every layer, about in the order in which a request meets them."""


def layer_of(stack: Sequence[str]) -> str:
    """Return the layer of a stack, outermost frame first, frames like `domain/codec.py:encode`."""
    for frame in reversed(stack):
        for prefix, layer in RULES:
            if frame.startswith(prefix):
                return layer
    return EVENT_LOOP


def layers_of(samples: Mapping[str, int], cpu_us: float) -> tuple[Layer, ...]:
    """Return the layers in the order of a request, each with its share of the samples and of `cpu_us` per request."""
    counted: Counter[str] = Counter()
    for stack, count in samples.items():
        counted[layer_of(stack.split(";"))] += count
    total = sum(counted.values())
    return tuple(
        Layer(name=name, share=round(counted[name] / total, 4), us=round(counted[name] / total * cpu_us, 1))
        for name in LAYERS
        if counted[name]
    )


def heaviest(samples: Mapping[str, int], most: int) -> dict[str, int]:
    """Return the stacks that were seen most often, and all others as one stack of one frame."""
    ordered = sorted(samples.items(), key=lambda each: (-each[1], each[0]))
    rest = sum(count for _, count in ordered[most:])
    return dict(ordered[:most]) | ({"rare stacks": rest} if rest else {})
