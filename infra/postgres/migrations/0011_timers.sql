-- Timers: when time alone will change a stream. Kept by one follower of the log with its own position, so that what is
-- due is found by an index and never by a scan. A copy of what the log says: lost rows come back from position 0.
CREATE TABLE harbor.timers (
    tenant_id  text        COLLATE "C" NOT NULL,
    stream_id  uuid        NOT NULL,
    due_at     timestamptz NOT NULL,
    attempt_at timestamptz NOT NULL CHECK (attempt_at >= due_at), -- due_at, or later after an attempt that failed
    PRIMARY KEY (stream_id, tenant_id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
CREATE INDEX timers_by_attempt ON harbor.timers (attempt_at);

-- How far the follower has read, moved by compare-and-set in the transaction that writes the timers. One row.
CREATE TABLE harbor.timer_position (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint  NOT NULL CHECK (position >= 0)
) WITH (fillfactor = 25);
INSERT INTO harbor.timer_position (position) VALUES (0);

GRANT SELECT, INSERT, UPDATE, DELETE ON harbor.timers TO harbor_command;
GRANT SELECT, UPDATE ON harbor.timer_position TO harbor_command;
