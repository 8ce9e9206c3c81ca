"""Records on the topic that are no events of ours: counted, logged, skipped."""

from typing import Final

from infra.clock import monotonic_s
from infra.observability.logs import get_logger
from projections import metrics

_LOG_EVERY_S: Final = 1.0


class ForeignRecords:
    """Reports foreign records; logs at most one per second, because somebody may flood the topic."""

    def __init__(self) -> None:
        self._quiet_until = float("-inf")

    def report(self, partition: int, place: int, reason: str) -> None:
        """Count one; `place` is its offset, or the position it claims."""
        metrics.FOREIGN.labels(reason).inc()
        if monotonic_s() >= self._quiet_until:
            self._quiet_until = monotonic_s() + _LOG_EVERY_S
            get_logger().warning("projection.foreign_record", partition=partition, place=place, reason=reason)
