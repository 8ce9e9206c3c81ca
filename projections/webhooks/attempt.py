"""What one attempt sends, and the new state of its delivery: pure functions around the POST."""

from datetime import datetime
from typing import Final
from uuid import UUID

from projections.webhooks.outcomes import VERDICTS, Verdict
from projections.webhooks.queue import LeasedDelivery, Result
from projections.webhooks.schedule import retry_delay_s
from projections.webhooks.sender import Reply
from projections.webhooks.signing import sign

USER_AGENT: Final = "Harbor-Orders-Webhooks/1"


def headers_of(lease: LeasedDelivery, secrets: tuple[bytes, ...], started_at: datetime) -> dict[str, str]:
    """Return the headers of the next attempt; the id never changes, timestamp and signature always do."""
    timestamp_s = int(started_at.timestamp())
    webhook_id = str(lease.event_id)
    headers = {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": sign(webhook_id, timestamp_s, lease.body, secrets),
        "webhook-attempt": str(lease.attempt_count + 1),
        "webhook-sequence": str(lease.sequence),
    }
    if lease.traceparent is not None:
        headers["traceparent"] = lease.traceparent
    return headers


def conclude(
    lease: LeasedDelivery,
    reply: Reply,
    *,
    attempt_id: UUID,
    started_at: datetime,
    latency_ms: int,
    jitter: float,
    scale: float,
) -> Result:
    """Return the result of an attempt: delivered, due again after a delay, or a dead letter.

    Args:
        lease: the leased delivery.
        reply: how the attempt ended.
        attempt_id: id of the attempt, so that recording it twice changes nothing.
        started_at: when the attempt began, UTC.
        latency_ms: how long it took, in milliseconds.
        jitter: uniform in [-1, 1].
        scale: factor on the schedule.
    """
    state, delay_s = _what_follows(lease, reply, jitter, scale)
    return Result(
        attempt_id=attempt_id,
        delivery_id=lease.delivery_id,
        lease_id=lease.lease_id,
        attempt=lease.attempt_count + 1,
        started_at=started_at,
        latency_ms=latency_ms,
        outcome=reply.outcome.value,
        status=reply.status,
        response_body=reply.body,
        state=state,
        delay_s=delay_s,
    )


def _what_follows(lease: LeasedDelivery, reply: Reply, jitter: float, scale: float) -> tuple[str, float]:
    """Return the delivery's next state, and the seconds until it is due again if it is pending."""
    match VERDICTS[reply.outcome]:
        case Verdict.DONE:
            return "delivered", 0.0
        case Verdict.RETRY:
            delay_s = retry_delay_s(
                lease.round_attempts + 1, jitter=jitter, retry_after_s=reply.retry_after_s, scale=scale
            )
            return ("dead", 0.0) if delay_s is None else ("pending", delay_s)
        case Verdict.DISABLE | Verdict.MISCONFIGURED:
            return "dead", 0.0
