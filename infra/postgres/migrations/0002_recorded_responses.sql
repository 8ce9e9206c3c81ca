-- The response to each command, under its idempotency key. It commits with the command's events (decision 0022) and is kept
-- for 7 days or a little more: partitions are weeks, and expired ones are dropped.
CREATE TABLE harbor.recorded_responses (
    recorded_at timestamptz NOT NULL,
    stream_id   uuid        NOT NULL,
    position    bigint      NOT NULL,
    version     integer     NOT NULL,
    status      smallint    NOT NULL,
    tenant_id   text        COLLATE "C" NOT NULL,
    key         text        COLLATE "C" NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 512),
    fingerprint bytea       NOT NULL CHECK (octet_length(fingerprint) = 32),
    response    bytea       NOT NULL
) PARTITION BY RANGE (recorded_at);

-- Keys are looked up by a hash of eight bytes. Clients' keys are random, so each response touches its own page of this
-- index: with the keys themselves in it (60 bytes each) a week of them outgrew the memory (decision 0026). The index is not
-- unique. The append keeps keys unique: it looks them up and inserts them under the log's lock, over all partitions.
CREATE INDEX recorded_responses_by_key_hash ON harbor.recorded_responses (hashtextextended(key, 0));

GRANT SELECT ON harbor.recorded_responses TO harbor_command;
