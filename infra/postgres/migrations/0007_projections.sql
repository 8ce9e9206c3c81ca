-- What a projection worker keeps beside its read models: how far it has come, and what it could not apply. The read models
-- themselves live in the schema harbor_read; `python -m projections create-tables` makes them.

-- One row per projection, version and partition. Moved by compare-and-set (owner_epoch and last_position must be what
-- the worker believes) in the transaction that writes the read model, so a worker that lost its partition writes nothing.
CREATE TABLE harbor.checkpoints (
    projection       text        NOT NULL,
    version          integer     NOT NULL,
    partition        smallint    NOT NULL CHECK (partition >= 0),
    -- Kafka offset after the last record seen; NULL until a broker was the source. Only says where to start reading.
    next_offset      bigint      CHECK (next_offset >= 0),
    -- Every event of this partition up to this global position is applied (or parked in dead_letters).
    last_position    bigint      NOT NULL DEFAULT 0 CHECK (last_position >= 0),
    -- Events applied or parked; positions have no gap, so the sum over partitions equals the head when all is done.
    applied_count    bigint      NOT NULL DEFAULT 0 CHECK (applied_count >= 0),
    -- Raised by each worker that takes the partition: the fence against the one before.
    owner_epoch      bigint      NOT NULL DEFAULT 0,
    last_recorded_at timestamptz,
    updated_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (projection, version, partition)
) WITH (fillfactor = 50);

-- Events a projection could not apply, and the later events of the same order. The event itself stays in the log;
-- this row holds no payload.
CREATE TABLE harbor.dead_letters (
    dead_letter_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    projection     text        NOT NULL,
    version        integer     NOT NULL,
    partition      smallint    NOT NULL,
    position       bigint      NOT NULL,
    tenant_id      text        NOT NULL,
    order_id       uuid        NOT NULL,
    sequence       integer     NOT NULL,
    type           text        NOT NULL,
    schema_version integer     NOT NULL,
    event_id       uuid        NOT NULL,
    recorded_at    timestamptz NOT NULL,
    -- poison: this event failed; gap: events before it never arrived; behind: an earlier event of the order is parked.
    reason         text        NOT NULL CHECK (reason IN ('poison', 'gap', 'behind')),
    -- First stream version to apply on a retry: `sequence` itself, or the first missing one after a gap.
    retry_from     integer     NOT NULL CHECK (retry_from BETWEEN 1 AND sequence),
    -- What failed, by class and code, never by content.
    error          text        NOT NULL CHECK (length(error) <= 500),
    status         text        NOT NULL DEFAULT 'parked' CHECK (status IN ('parked', 'discarded')),
    attempts       integer     NOT NULL DEFAULT 1,
    parked_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (projection, version, position)
);
CREATE INDEX dead_letters_parked_orders ON harbor.dead_letters (order_id) WHERE status = 'parked';

REVOKE ALL ON harbor.checkpoints, harbor.dead_letters FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON harbor.checkpoints TO harbor_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON harbor.dead_letters TO harbor_worker;
GRANT SELECT ON harbor.checkpoints, harbor.dead_letters TO harbor_query;
