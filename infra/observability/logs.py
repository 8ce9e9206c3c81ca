"""Logs: JSON lines on standard output, one wide line per unit of work, dotted stable event names.

Every library that uses `logging` (uvicorn, aiokafka, asyncpg) comes out in the same form. Bodies, keys and personal
data are never fields.
"""

import logging
import os
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from infra.observability import build_info
from infra.observability.log_output import LossyOutput
from infra.observability.reasons import reason_of

WideLine = Callable[[str, dict[str, Any]], None]
"""Writes one line of level info: its event and its fields, which now belong to the line."""
_DRIVERS: Final = frozenset({"aiokafka", "asyncpg"})
_wide_line: WideLine | None = None
_STANDARD = 2  # the last of standard input, output and error


def configure(process: str, level: str = "info") -> None:
    """Send all logs of this process to standard output as JSON; call once, first thing in a `__main__`."""
    build_info.expose(process)

    def complete(_logger: WrappedLogger, level: str, event: EventDict) -> EventDict:
        """Add what every line has; one function, since a chain of five costs a request more than the line itself."""
        event["level"] = "error" if level == "exception" else level
        event["timestamp"] = datetime.now(UTC)
        event["process"] = process
        return format_error(_logger, level, event) if "exc_info" in event else event

    def lost_line(lines: int) -> bytes:
        return _render(None, "warning", complete(None, "warning", {"event": "log.lines_lost", "lines": lines}))

    format_error = structlog.processors.format_exc_info
    output = LossyOutput(_standard_output(), lost_line)
    structlog.configure(
        processors=[complete, _render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_names: output,
        cache_logger_on_first_use=True,
    )

    def write_wide(event: str, fields: dict[str, Any]) -> None:
        fields["event"] = event
        output.msg(_render(None, "info", complete(None, "info", fields)))

    global _wide_line  # noqa: PLW0603  # structlog keeps its configuration in a global too
    _wide_line = write_wide if logging.getLevelNamesMapping()[level.upper()] <= logging.INFO else _no_line
    handler = _LibraryLines(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, complete],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render_text],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    # The user of a pool logs once that the database is away; the pool itself would log a traceback at every attempt.
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)


def _standard_output() -> int:
    """Return the descriptor of standard output; what was closed before the start leads nowhere from now on.

    Otherwise the next socket would get the number, and with it whatever is written there.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD:
        pass
    os.close(descriptor)
    return 1


class _LibraryLines(logging.Handler):
    """Sends what libraries log the same way as our own lines."""

    def __init__(self, output: LossyOutput) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            _condense(record)
            self._output.msg(self.format(record).encode())
        except Exception:  # noqa: BLE001  # as every handler of the standard library
            self.handleError(record)


def _condense(record: logging.LogRecord) -> None:
    """Make one line at level warning of what a driver logs with a traceback.

    A rebalance or the restart of a server is no error: the driver's caller tries again, and logs what it waits for.
    """
    error = record.exc_info[1] if record.exc_info else None
    if not _DRIVERS & {_package(record.name), _package(type(error).__module__), _failed_in(error)}:
        return
    if record.levelno > logging.WARNING:
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    if error is not None:
        record.msg, record.args = f"{_first_line(record)}: {reason_of(error)}", ()
        record.exc_info = record.exc_text = None


def _failed_in(error: BaseException | None) -> str | None:
    """Return the package whose task or callback failed; asyncio logs those that nobody waits for."""
    frames = traceback.walk_tb(error.__traceback__ if error else None)
    packages = (_package(str(frame.f_globals.get("__name__"))) for frame, _ in frames)
    return next((each for each in packages if each != "asyncio"), None)


def _package(module: str) -> str:
    return module.partition(".")[0]


def _first_line(record: logging.LogRecord) -> str:
    return record.getMessage().partition("\n")[0]


def get_logger() -> FilteringBoundLogger:
    """Return the process' logger; `log.info("command.handled", order_id=..., duration_ms=...)`."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def wide_line() -> WideLine:
    """Return the function that writes the one line of each unit of work, past the layers of `get_logger().info`.

    structlog's proxies cost more than the line itself; a process that writes thousands a second asks for this once.
    """
    return _wide_line or (lambda event, fields: get_logger().info(event, **fields))


def _no_line(_event: str, _fields: dict[str, Any]) -> None:
    """Write nothing: the level leaves lines of info out."""


def _render(_logger: WrappedLogger, _level: str, event: EventDict) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)


def _render_text(logger: WrappedLogger, level: str, event: EventDict) -> str:
    return _render(logger, level, event).decode()
