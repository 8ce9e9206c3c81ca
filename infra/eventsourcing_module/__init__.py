"""A persistence module for the `eventsourcing` library: its applications, logs and projections on our event store.

Set `PERSISTENCE_MODULE=infra.eventsourcing_module` and `HARBOR_POSTGRES__URL`, and an ordinary application of the
library reads the log of all orders; `examples/replay_with_eventsourcing.py` shows it. With `HARBOR_TENANT` (a partner's
id and its mode: `acme.test`) it sees that tenant only, and with a login that may append it can write streams of its
own (decision 0029).

A stored event of ours is one of the library's: `originator_id` is the stream's id, `originator_version` its version,
`topic` the event's type, `state` the payload's exact bytes, and a notification's `id` the global position.
No service imports this package, so the library costs them nothing.
"""

from infra.eventsourcing_module.factory import HarborFactory
from infra.eventsourcing_module.recorders import (
    HarborAggregateRecorder,
    HarborApplicationRecorder,
    HarborProcessRecorder,
)
from infra.eventsourcing_module.snapshots import HarborSnapshotRecorder
from infra.eventsourcing_module.tracking import HarborTrackingRecorder

__all__ = (
    "HarborAggregateRecorder",
    "HarborApplicationRecorder",
    "HarborFactory",
    "HarborProcessRecorder",
    "HarborSnapshotRecorder",
    "HarborTrackingRecorder",
)
