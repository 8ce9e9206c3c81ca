-- The event store: one log per log_id (there is one: 0), append only by privilege. Only harbor.append (0002) writes here.

-- The authority for expected versions, one row per stream. Room for HOT updates: no indexed column ever changes.
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

-- The log. `payload` is the exact bytes that were written: jsonb would reorder keys and break hashes.
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

-- The ledger of batches, append only; its tail row gives the next position.
CREATE TABLE harbor.batches (
    log_id         smallint    NOT NULL,
    first_position bigint      NOT NULL,
    last_position  bigint      NOT NULL,
    count          integer     NOT NULL CHECK (count > 0 AND count = last_position - first_position + 1),
    committed_at   timestamptz NOT NULL,
    PRIMARY KEY (log_id, last_position)
);

-- What was answered to which key; kept for 7 days or a little more, dropped by partition. A key is unique over all
-- partitions because the log's lock serialises the look-up and the insert.
CREATE TABLE harbor.commands (
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

-- Names that belong to one stream of a tenant for ever, such as an order's external reference.
CREATE TABLE harbor.claims (
    tenant_id text COLLATE "C" NOT NULL,
    claim     text COLLATE "C" NOT NULL CHECK (octet_length(claim) BETWEEN 1 AND 1024),
    stream_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, claim)
);

-- The log as auditors read it: payloads as JSON. `json` and not `jsonb`: it keeps the text, so a number such as 1E131071
-- stays eight characters long.
CREATE VIEW harbor.event_documents AS
SELECT position, log_id, tenant_id, stream_id, version, type, schema_version, event_id, occurred_at, recorded_at,
       actor, correlation_id, causation_id, traceparent, leaf_hash, convert_from(payload, 'UTF8')::json AS payload
FROM harbor.events;

-- Makes one partition beside the table and attaches it: unlike CREATE TABLE ... PARTITION OF this does not lock the
-- parent against readers and writers. `p_unique` are the columns a partition keeps unique by itself.
CREATE FUNCTION harbor.add_partition(
    p_parent text, p_name text, p_column text, p_from text, p_to text, p_unique text
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF to_regclass(format('harbor.%I', p_name)) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE harbor.%I (LIKE harbor.%I INCLUDING ALL)', p_name, p_parent);
    EXECUTE format('CREATE UNIQUE INDEX ON harbor.%I (%s)', p_name, p_unique);
    EXECUTE format('ALTER TABLE harbor.%I ADD CONSTRAINT bounds CHECK (%I >= %L AND %I < %L)',
                   p_name, p_column, p_from, p_column, p_to);
    EXECUTE format('ALTER TABLE harbor.%I ATTACH PARTITION harbor.%I FOR VALUES FROM (%L) TO (%L)',
                   p_parent, p_name, p_from, p_to);
    EXECUTE format('ALTER TABLE harbor.%I DROP CONSTRAINT bounds', p_name);
END
$$;

-- Makes the partitions of the next two steps of both tables exist and drops partitions of commands that are older than
-- 7 days. Returns how far ahead the log and the commands may go, for the alarm. Safe to call at any time, from anywhere.
CREATE FUNCTION harbor.maintain_partitions(
    OUT events_left bigint, OUT commands_left interval, OUT dropped text[]
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '2s' AS $$
DECLARE
    c_events  CONSTANT bigint := 10000000; -- events per partition
    c_lock    CONSTANT bigint := 4851286503187210;
    v_head    bigint;
    v_first   bigint;
    v_monday  timestamptz := date_trunc('week', clock_timestamp());
    v_week    timestamptz;
    v_old     text;
BEGIN
    PERFORM pg_advisory_xact_lock(c_lock); -- one maintainer at a time; appends do not take this lock
    SELECT coalesce(max(last_position), 0) INTO v_head FROM harbor.batches;
    FOR step IN 0..2 LOOP
        v_first := (v_head / c_events + step) * c_events;
        PERFORM harbor.add_partition('events', 'events_' || lpad((v_first / c_events)::text, 6, '0'), 'position',
            v_first::text, (v_first + c_events)::text, 'stream_id, tenant_id, version');
        v_week := v_monday + step * interval '7 days';
        PERFORM harbor.add_partition('commands', 'commands_' || to_char(v_week, 'YYYYMMDD'), 'recorded_at',
            v_week::text, (v_week + interval '7 days')::text, 'key, tenant_id');
    END LOOP;
    dropped := ARRAY[]::text[];
    FOR v_old IN
        SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'harbor.commands'::regclass
          AND to_date(right(relname, 8), 'YYYYMMDD') + 14 <= current_date
        ORDER BY relname
    LOOP
        EXECUTE format('DROP TABLE harbor.%I', v_old);
        dropped := dropped || v_old;
    END LOOP;
    events_left := v_first + c_events - 1 - v_head;
    commands_left := v_week + interval '7 days' - clock_timestamp();
END
$$;

SELECT harbor.maintain_partitions();

GRANT SELECT ON harbor.streams, harbor.events, harbor.batches, harbor.event_documents
    TO harbor_command, harbor_worker, harbor_query;
GRANT SELECT ON harbor.commands, harbor.claims TO harbor_command;
GRANT EXECUTE ON FUNCTION harbor.maintain_partitions() TO harbor_command;
