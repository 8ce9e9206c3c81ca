"""Which layer of the service a sampled stack belongs to, and what each layer costs per request. Pure.

A stack belongs to the innermost of its frames that a rule knows; leaf modules that many layers use (money, text, ids)
have no rule, so their time counts for their callers.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from tests.bench.report.model import Layer

EVENT_LOOP: Final = "event loop, sockets, everything else"

RULES: Final = {
    "structlog/": "log line",
    "infra/observability/": "log line",
    "prometheus_client/": "metrics",
    "infra/http/metrics.py": "metrics",
    "command_api/metrics.py": "metrics",
    "infra/http/auth.py": "API key, rate limit",
    "infra/security/": "API key, rate limit",
    "infra/redis/": "API key, rate limit",
    "infra/http/json_body.py": "read and parse the body",
    "command_api/orders/bodies.py": "validate: shape and money",
    "command_api/handling/idempotency.py": "idempotency key, fingerprint",
    "domain/order/decide.py": "decide",
    "domain/order/decisions/": "decide",
    "domain/order/state.py": "evolve",
    "domain/codec.py": "encode the event",
    "domain/order/document.py": "render the response",
    "command_api/handling/deferred_store.py": "append: batching, arguments, driver",
    "infra/event_store/": "append: batching, arguments, driver",
    "asyncpg/": "append: batching, arguments, driver",
    "command_api/handling/bodies.py": "validate: shape and money",
    "command_api/handling/requests.py": "route: request in, response out",
    "command_api/handling/": "handle: envelope, append command",
    "command_api/orders/": "route: request in, response out",
    "infra/http/server/raw_route.py": "framework: routing, request, response",
    "infra/http/server/route_table.py": "framework: routing, request, response",
    "starlette/": "framework: routing, request, response",
    "fastapi/": "framework: routing, request, response",
    "infra/http/server/": "HTTP server",
    "uvicorn/": "HTTP server",
    "infra/http/": "request middleware: id, checks, deadline, headers",
    "infra/deadlines.py": "request middleware: id, checks, deadline, headers",
}
"""Prefix of a frame -> layer; the first that fits."""


def layer_of(stack: Sequence[str]) -> str:
    """Return the layer of a stack, outermost frame first, frames like `domain/codec.py:encode`."""
    for frame in reversed(stack):
        for prefix, layer in RULES.items():
            if frame.startswith(prefix):
                return layer
    return EVENT_LOOP


def layers_of(samples: Mapping[str, int], cpu_us: float) -> tuple[Layer, ...]:
    """Return the layers, the costliest first, each with its share of the samples and of `cpu_us` per request."""
    counted: Counter[str] = Counter()
    for stack, count in samples.items():
        counted[layer_of(stack.split(";"))] += count
    total = counted.total()
    return tuple(
        Layer(name=name, share=round(count / total, 4), us=round(count / total * cpu_us, 1))
        for name, count in counted.most_common()
    )
