"""The appender of the command side: its bounds follow the settings of the command service."""

from typing import Final

from infra.event_store.append_channel import PostgresAppendChannel
from infra.event_store.appender import Appender, AppenderLimits
from infra.postgres.pool import connect
from infra.settings import CommandApiSettings, PostgresSettings

_APPEND_SHARE_OF_DEADLINE: Final = 0.9


def make_appender(postgres: PostgresSettings, service: CommandApiSettings, name: str) -> Appender:
    """Return an appender on a connection of its own, by the settings of the command service."""
    channel = PostgresAppendChannel(lambda: connect(postgres, application_name=f"{name}-append"))
    limits = AppenderLimits(
        queue_commands=service.append_queue,
        batch_commands=service.append_batch,
        # Before the request's own deadline, so that the response says what is known about the write.
        deadline_s=service.request_deadline_s * _APPEND_SHARE_OF_DEADLINE,
    )
    return Appender(channel, limits)
