-- Leases, and what the relay remembers.

-- Leases: who may act alone. `renewals` moves with every renewal, so that a standby can detect a silent holder by its own
-- monotonic clock. `epoch` moves with every new holder and fences off the acts of an old one (decision 0062).
CREATE TABLE harbor.leases (
    name       text        PRIMARY KEY,
    holder     text,                  -- NULL: released, free at once
    epoch      bigint      NOT NULL CHECK (epoch > 0),
    renewals   bigint      NOT NULL,
    renewed_at timestamptz NOT NULL
) WITH (fillfactor = 25);             -- renewed about twice a second: stay on one page

-- What the relay knew when it last wrote it down. Advice only: the topic's own tail is the checkpoint (decision 0060). This row
-- saves idle partitions a walk through history.
CREATE TABLE harbor.relay_marks (
    topic      text        PRIMARY KEY,
    low_water  bigint      NOT NULL CHECK (low_water >= 0), -- every event up to here was acknowledged in its partition
    acked      bigint[]    NOT NULL,                        -- last acknowledged position of each partition; 0: none
    ends       bigint[]    NOT NULL,                        -- Kafka's offset after it
    epoch      bigint      NOT NULL,
    updated_at timestamptz NOT NULL
) WITH (fillfactor = 25);

GRANT SELECT, INSERT, UPDATE ON harbor.leases, harbor.relay_marks TO harbor_worker;
GRANT SELECT ON harbor.relay_marks TO harbor_query; -- to show from outside that a relay stands
