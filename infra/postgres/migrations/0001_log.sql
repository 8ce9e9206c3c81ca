-- The log: streams of events, positions 1, 2, 3, ... without a gap, append only by privilege. There may be several logs,
-- told apart by log_id; the services use log 0. Only harbor.append_batch writes here.

-- One row per stream: the authority for expected versions. The spare room allows HOT updates: no indexed column changes.
CREATE TABLE harbor.streams (
    tenant_id      text     COLLATE "C" NOT NULL,
    stream_id      uuid     NOT NULL,
    log_id         smallint NOT NULL,
    type           text     COLLATE "C" NOT NULL,
    version        integer  NOT NULL CHECK (version > 0),
    first_position bigint   NOT NULL,
    last_position  bigint   NOT NULL CHECK (last_position >= first_position),
    PRIMARY KEY (stream_id, tenant_id) -- the id first: UUIDv7, so inserts stay at the right edge of the index
) WITH (fillfactor = 80);

-- The events. `payload` is the exact bytes that were written: jsonb would reorder keys and break hashes.
CREATE TABLE harbor.events (
    position       bigint      NOT NULL CHECK (position > 0),
    log_id         smallint    NOT NULL,
    stream_id      uuid        NOT NULL,
    version        integer     NOT NULL CHECK (version > 0),
    schema_version integer     NOT NULL CHECK (schema_version > 0),
    event_id       uuid        NOT NULL,
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL,
    tenant_id      text        COLLATE "C" NOT NULL,
    type           text        COLLATE "C" NOT NULL,
    actor          text        COLLATE "C" NOT NULL,
    correlation_id text        COLLATE "C",
    causation_id   text        COLLATE "C",
    traceparent    text        COLLATE "C",
    leaf_hash      bytea       NOT NULL CHECK (octet_length(leaf_hash) = 32),
    payload        bytea       NOT NULL CHECK (octet_length(payload) <= 1000000), -- must fit into one Kafka record
    PRIMARY KEY (position, log_id)
) PARTITION BY RANGE (position);

-- The ledger of batches, append only. The last row says which position is next.
CREATE TABLE harbor.batches (
    log_id         smallint    NOT NULL,
    first_position bigint      NOT NULL,
    last_position  bigint      NOT NULL,
    count          integer     NOT NULL CHECK (count > 0 AND count = last_position - first_position + 1),
    committed_at   timestamptz NOT NULL,
    PRIMARY KEY (log_id, last_position)
);

-- Names that belong to one stream of a tenant forever, such as an order's external reference (decision 0021).
CREATE TABLE harbor.claims (
    tenant_id text COLLATE "C" NOT NULL,
    claim     text COLLATE "C" NOT NULL CHECK (octet_length(claim) BETWEEN 1 AND 1024),
    stream_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, claim)
);

-- The log for auditors, with payloads as JSON. `json` and not `jsonb`: it keeps the text, so a number such as 1E131071
-- stays eight characters long.
CREATE VIEW harbor.event_documents AS
SELECT position, log_id, tenant_id, stream_id, version, type, schema_version, event_id, occurred_at, recorded_at,
       actor, correlation_id, causation_id, traceparent, leaf_hash, convert_from(payload, 'UTF8')::json AS payload
FROM harbor.events;

GRANT SELECT ON harbor.streams, harbor.events, harbor.batches, harbor.event_documents
    TO harbor_command, harbor_worker, harbor_query;
GRANT SELECT ON harbor.claims TO harbor_command;
