"""Where floats may be, module by module and by what they are for there; `tests.support.orders.floats` has the kinds.

A line allows a module its kinds and no others. Who needs a float for time, a rate or a metric in a module more adds it
to a line here, or a line, and a reviewer sees it. A kind that a module no longer needs has to go: the test fails until
it does. Nothing of `domain` is allowed more than to read JSON.
"""

from collections.abc import Mapping
from typing import Final

from tests.support.orders.floats import DIVISION, EVALUATION, FLOAT, JSON, LITERAL, POWER, ROUND, SECONDS, an_import

ALLOWED_FOR: Final[Mapping[str, Mapping[str, set[str]]]] = {
    "seconds: deadlines, polls, back-off, leases, timers": {
        "infra/retry_loop.py": {FLOAT, LITERAL, SECONDS},
        "command_api/app.py": {LITERAL},
        "command_api/slots.py": {FLOAT},
        "command_api/timer/expirer.py": {FLOAT, ROUND, SECONDS},
        "command_api/handling/appender.py": {LITERAL},
        "command_api/handling/backoff.py": {DIVISION, SECONDS, an_import("random")},
        "examples/replay_with_eventsourcing.py": {JSON, LITERAL, DIVISION},
        "infra/clock.py": {FLOAT, an_import("time"), SECONDS},
        "infra/deadlines.py": {FLOAT, LITERAL, SECONDS},
        "infra/eventsourcing_module/database.py": {FLOAT, LITERAL},
        "infra/eventsourcing_module/loop_thread.py": {FLOAT, LITERAL},
        "infra/eventsourcing_module/settings.py": {FLOAT, LITERAL},
        "infra/http/context.py": {FLOAT},
        "infra/http/guards.py": {FLOAT},
        "infra/http/middleware.py": {ROUND, SECONDS},
        "infra/http/server/server.py": {FLOAT, LITERAL},
        "infra/kafka/__main__.py": {FLOAT, LITERAL},
        "infra/kafka/clients.py": {FLOAT, LITERAL, EVALUATION},
        "infra/kafka/tail.py": {FLOAT, SECONDS},
        "infra/kafka/topics.py": {FLOAT, LITERAL},
        "infra/kafka/unreadable.py": {FLOAT, LITERAL, SECONDS},
        "infra/local/probe.py": {FLOAT, LITERAL},
        "infra/local/processes/supervisor.py": {FLOAT, LITERAL, SECONDS},
        "infra/observability/log_output.py": {FLOAT, LITERAL},
        "infra/observability/ops_server.py": {LITERAL},
        "infra/event_store/append_channel.py": {LITERAL},
        "infra/event_store/pending_appends.py": {FLOAT},
        "infra/event_store/appender.py": {FLOAT, LITERAL, SECONDS},
        "infra/security/key_cache.py": {FLOAT, LITERAL, SECONDS},
        "infra/security/key_watch.py": {LITERAL, SECONDS},
        "infra/postgres/deferred_pool.py": {FLOAT, LITERAL},
        "infra/postgres/leases.py": {FLOAT, SECONDS, DIVISION},
        "infra/event_store/partitions.py": {FLOAT, LITERAL, SECONDS},
        "infra/postgres/pool.py": {LITERAL},
        "infra/relay/marks.py": {LITERAL},
        "infra/relay/publisher.py": {FLOAT},
        "infra/relay/relay.py": {FLOAT, LITERAL},
        "infra/relay/run.py": {FLOAT, LITERAL, SECONDS},
        "infra/runtime.py": {FLOAT, LITERAL},
        "infra/settings.py": {FLOAT, LITERAL},
        "infra/postgres/wakeup.py": {FLOAT, LITERAL},
        "projections/sources/foreign.py": {FLOAT, LITERAL, SECONDS},
        "projections/sources/kafka.py": {FLOAT, LITERAL, SECONDS},
        "projections/sources/store.py": {FLOAT, LITERAL},
        "projections/worker.py": {FLOAT, LITERAL, ROUND, SECONDS},
        "query_api/app.py": {LITERAL, SECONDS},
        "query_api/freshness.py": {FLOAT, LITERAL, ROUND, SECONDS},
        "query_api/state.py": {FLOAT},
    },
    "retries with jitter, in seconds: the client and the sender of webhooks": {
        "examples/harbor_client/harbor_orders_client/operations/batches.py": {FLOAT, SECONDS},
        "examples/harbor_client/harbor_orders_client/transport/http.py": {FLOAT},
        "examples/harbor_client/harbor_orders_client/clients.py": {FLOAT, LITERAL, an_import("time")},
        "examples/harbor_client/harbor_orders_client/errors.py": {FLOAT},
        "examples/harbor_client/harbor_orders_client/transport/retries.py": {
            FLOAT,
            LITERAL,
            POWER,
            an_import("random"),
            an_import("time"),
            SECONDS,
        },
        "examples/harbor_client/harbor_orders_client/webhooks.py": {FLOAT, an_import("time"), SECONDS},
        "examples/harbor_client/harbor_orders_client/transport/wire.py": {FLOAT},
        "projections/webhooks/attempt.py": {FLOAT, LITERAL, SECONDS},
        "projections/webhooks/breaker.py": {FLOAT, LITERAL},
        "projections/webhooks/dispatcher.py": {FLOAT, LITERAL, an_import("random"), ROUND, SECONDS, DIVISION},
        "projections/webhooks/queue.py": {FLOAT},
        "projections/webhooks/recorder.py": {FLOAT, LITERAL},
        "projections/webhooks/run.py": {LITERAL, an_import("random")},
        "projections/webhooks/schedule.py": {FLOAT, LITERAL, SECONDS},
        "projections/webhooks/sender.py": {FLOAT, LITERAL, SECONDS},
    },
    "the rate of requests": {
        "infra/http/auth.py": {an_import("math"), DIVISION},
        "infra/redis/gcra.py": {FLOAT, LITERAL, DIVISION},
        "infra/redis/rate_limit.py": {FLOAT, LITERAL, SECONDS, DIVISION},
    },
    "metrics: buckets and gauges": {
        "infra/http/metrics.py": {FLOAT, LITERAL},
        "infra/event_store/metrics.py": {LITERAL},
        "infra/relay/metrics.py": {FLOAT, LITERAL, SECONDS},
        "projections/metrics.py": {LITERAL},
        "projections/webhooks/metrics.py": {LITERAL},
        "query_api/metrics.py": {FLOAT, DIVISION},
    },
    "progress of long work: shares, rates, time that is left": {
        "examples/harbor_client/harbor_orders_client/importing/command_line.py": {FLOAT, LITERAL, DIVISION},
        "examples/harbor_client/harbor_orders_client/importing/progress.py": {
            FLOAT,
            LITERAL,
            ROUND,
            SECONDS,
            DIVISION,
            an_import("time"),
        },
        "projections/commands.py": {FLOAT, LITERAL, SECONDS, DIVISION},
    },
    "decimals of the client: exact, and refused when they are floats": {
        "examples/harbor_client/quickstart.py": {an_import("decimal")},
        "examples/harbor_client/harbor_orders_client/documents/responses.py": {an_import("decimal")},
        "examples/harbor_client/harbor_orders_client/documents/exact.py": {an_import("decimal")},
        "examples/harbor_client/harbor_orders_client/documents/new_orders.py": {an_import("decimal")},
        "examples/harbor_client/harbor_orders_client/importing/lines.py": {an_import("decimal")},
        "examples/harbor_client/harbor_orders_client/documents/reading.py": {an_import("decimal")},
    },
    "a body of a request: a fraction is read to be refused wherever an amount stands": {
        "infra/http/json_body.py": {JSON, FLOAT, an_import("math")}
    },
    "JSON of ours: events, states and documents, which `decide` made of whole numbers and strict types read again": {
        "command_api/orders/examples.py": {JSON},
        "command_api/timer/due.py": {JSON},
        "command_api/webhook_endpoints/events.py": {JSON},
        "domain/catalogue/pages.py": {JSON},
        "domain/change.py": {JSON},
        "domain/codec.py": {JSON},
        "domain/order/cached_state.py": {JSON},
        "projections/read_models/order_timeline.py": {JSON},
        "projections/verify.py": {JSON},
        "query_api/documents.py": {JSON},
        "projections/webhooks/fanout.py": {JSON},
    },
    "JSON of the routes of both services": {"infra/http/addresses/elsewhere.py": {JSON}},
    "JSON of the history of API keys": {"infra/security/api_key_events.py": {JSON}},
    "processes and files on this machine: paths joined with `/`, facts in JSON, waiting, sizes": {
        "examples/webhook_receiver.py": {JSON},
        "infra/bootstrap.py": {an_import("time"), SECONDS, DIVISION},
        "infra/local/__main__.py": {JSON},
        "infra/local/processes/detached.py": {LITERAL, an_import("time"), SECONDS},
        "infra/local/home.py": {JSON, DIVISION},
        "infra/local/servers/kafka_jars.py": {DIVISION},
        "infra/local/processes/launch.py": {an_import("ctypes")},
        "infra/local/processes/orphans.py": {JSON, LITERAL, DIVISION},
        "infra/local/directories.py": {DIVISION},
        "infra/local/status.py": {JSON, LITERAL, DIVISION},
        "infra/local/servers/postgres.py": {an_import("importlib"), DIVISION},
        "infra/local/stack.py": {LITERAL, an_import("importlib")},
        "infra/local/servers/valkey.py": {an_import("importlib")},
    },
    "whole numbers of fixed width": {
        "infra/local/servers/kafka.py": {an_import("struct")},
        "infra/partitioning.py": {an_import("struct")},
        "infra/http/cursors.py": {an_import("struct")},
    },
}

ALLOWED: Final[Mapping[str, set[str]]] = {
    module: kinds for modules in ALLOWED_FOR.values() for module, kinds in modules.items()
}

BESIDE_AMOUNTS: Final[Mapping[str, str]] = {
    "command_api/app.py": "the description of the API speaks of amounts; the numbers are shares of a deadline",
    "command_api/timer/due.py": "reads the deadline out of an event and none of its amounts",
    "command_api/webhook_endpoints/events.py": "shows examples made of orders and events of ours",
    "domain/catalogue/pages.py": "prints the examples of events, which are JSON of ours",
    "domain/change.py": "reads back what was written from whole numbers",
    "domain/codec.py": "reads events; every whole number in them is a strict `int` of the schema",
    "domain/order/cached_state.py": "reads back what it wrote from whole numbers",
    "examples/harbor_client/harbor_orders_client/operations/batches.py": "sends orders whose amounts are texts; pauses",
    "examples/harbor_client/harbor_orders_client/documents/responses.py": "an amount is a Decimal",
    "examples/harbor_client/harbor_orders_client/documents/new_orders.py": "takes a Decimal or a text, refuses a float",
    "examples/webhook_receiver.py": "prints amounts as the texts that they are",
    "examples/replay_with_eventsourcing.py": "adds up whole numbers; tells its progress",
}
"""Every module that is allowed something and names amounts, and why that is harmless."""
