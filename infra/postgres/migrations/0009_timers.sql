-- Timers: when time alone will change a stream. One follower of the log keeps them, with a position of its own, so that an
-- index finds what is due and nothing is scanned. They are derived from the log: starting again from position 0 restores
-- lost rows (decision 0046).
CREATE TABLE harbor.timers (
    tenant_id  text        COLLATE "C" NOT NULL,
    stream_id  uuid        NOT NULL,
    due_at     timestamptz NOT NULL,
    attempt_at timestamptz NOT NULL CHECK (attempt_at >= due_at), -- due_at, or later after an attempt that failed
    PRIMARY KEY (stream_id, tenant_id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
CREATE INDEX timers_by_attempt ON harbor.timers (attempt_at);

-- How far the follower has read. One row, moved by compare-and-set in the transaction that writes the timers.
CREATE TABLE harbor.timer_position (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint  NOT NULL CHECK (position >= 0)
) WITH (fillfactor = 25);
INSERT INTO harbor.timer_position (position) VALUES (0);

GRANT SELECT, INSERT, UPDATE, DELETE ON harbor.timers TO harbor_command;
GRANT SELECT, UPDATE ON harbor.timer_position TO harbor_command;
GRANT SELECT (attempt_at) ON harbor.timers TO harbor_query; -- to show from outside that a timer stands
