"""Logs: JSON lines on standard output, one wide line per unit of work, dotted stable event names.

Every library that uses `logging` (uvicorn, aiokafka, asyncpg) comes out in the same form. Bodies, keys and personal
data are never fields.
"""

import logging
import sys
from contextlib import suppress
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger


class LossyLogger(structlog.BytesLogger):
    """Writes lines to an output that may be closed or full: then lines are lost, and never the work they tell of."""

    def msg(self, message: bytes) -> None:
        """Write a line if that is possible."""
        with suppress(OSError, ValueError):
            super().msg(message)

    log = debug = info = warn = warning = error = critical = exception = fatal = failure = err = msg


def configure(process: str, level: str = "info") -> None:
    """Send all logs of this process to standard output as JSON; call once, first thing in a `__main__`."""

    def add_process(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_process,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_names: LossyLogger(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_dumps_text),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    # Whoever uses a pool says once that the database is away; the pool itself writes a traceback at every attempt.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)


def get_logger() -> FilteringBoundLogger:
    """Give the process' logger; `log.info("command.handled", order_id=..., duration_ms=...)`."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def _dumps(value: Any, **_options: Any) -> bytes:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)


def _dumps_text(value: Any, **_options: Any) -> str:
    return _dumps(value).decode()
