-- The one way into the log: many commands in one call, one round trip, one commit. ADR 0020.

CREATE TYPE harbor.new_event AS (
    event_id       uuid,
    type           text,
    schema_version integer,
    occurred_at    timestamptz,
    actor          text,
    correlation_id text,
    causation_id   text,
    traceparent    text,
    leaf_hash      bytea,
    payload        bytea
);

CREATE TYPE harbor.new_command AS (
    tenant_id        text,
    key              text,
    fingerprint      bytea,
    stream_id        uuid,
    stream_type      text,
    expected_version integer,
    status           smallint,
    response         bytea,
    claim            text,
    events           harbor.new_event[]
);

-- One row per command, in the order given. outcome is one of
--   appended   version and position are of its last event (of the stream as it was, when it has none)
--   duplicate  the key was used by the same request: its status, response, stream, version, position, recorded_at
--   mismatch   the key was used by another request
--   conflict   version is the real version of the stream
--   claimed    stream_id is the owner of the claim
-- A refused command burns no position and never changes the outcome of another. A batch holds a stream, a key and a
-- claim at most once; a caller that breaks this gets an error for the whole batch and nothing is written.
CREATE FUNCTION harbor.append(p_log_id smallint, p_commands harbor.new_command[])
RETURNS TABLE (
    outcome text, status smallint, response bytea, stream_id uuid, version integer, "position" bigint, recorded_at timestamptz
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Look-ups go by index whatever the statistics say: a plan made while the tables were empty would stay sequential.
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_last     bigint;      -- the last position before this batch
    v_now      timestamptz; -- recorded_at of this batch
    v_outcomes text[];      -- per command
    v_ends     bigint[];    -- per command: how many events of this batch come up to and including its own
    v_heads    bigint[];    -- per command: last position of its stream before this batch
    v_versions integer[];   -- per command: version of its stream before this batch
    v_count    bigint;      -- events written
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'harbor.append needs READ COMMITTED: another level checks versions against an old snapshot'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        RAISE EXCEPTION 'harbor.append refuses synchronous_commit = %', current_setting('synchronous_commit')
            USING ERRCODE = 'invalid_transaction_state';
    END IF;

    -- Its own statement: each later one takes a new snapshot and sees what the previous holder committed.
    PERFORM pg_advisory_xact_lock(1212240466, p_log_id);

    SELECT b.last_position, greatest(clock_timestamp(), b.committed_at) INTO v_last, v_now
    FROM harbor.batches b WHERE b.log_id = p_log_id ORDER BY b.last_position DESC LIMIT 1;
    IF NOT FOUND THEN
        v_last := 0;
        v_now := clock_timestamp();
    END IF;

    SELECT array_agg(d.outcome ORDER BY d.ordinal), array_agg(d.head ORDER BY d.ordinal),
           array_agg(d.version ORDER BY d.ordinal), array_agg(d.upto ORDER BY d.ordinal)
    INTO v_outcomes, v_heads, v_versions, v_ends
    FROM (
        SELECT j.*, sum(CASE j.outcome WHEN 'appended' THEN j.events ELSE 0 END) OVER (ORDER BY j.ordinal) AS upto
        FROM (
            SELECT c.ordinal, cardinality(c.events) AS events, coalesce(s.last_position, 0) AS head,
                   coalesce(s.version, 0) AS version,
                   CASE
                       WHEN k.fingerprint = c.fingerprint THEN 'duplicate'
                       WHEN k.fingerprint IS NOT NULL THEN 'mismatch'
                       WHEN coalesce(s.version, 0) <> c.expected_version THEN 'conflict'
                       WHEN t.stream_id <> c.stream_id THEN 'claimed'
                       ELSE 'appended'
                   END AS outcome
            FROM unnest(p_commands) WITH ORDINALITY AS c (
                tenant_id, key, fingerprint, stream_id, stream_type, expected_version, status, response, claim, events,
                ordinal)
            LEFT JOIN harbor.commands k ON k.tenant_id = c.tenant_id AND k.key = c.key
            LEFT JOIN harbor.streams s ON s.stream_id = c.stream_id AND s.tenant_id = c.tenant_id
            LEFT JOIN harbor.claims t ON t.tenant_id = c.tenant_id AND t.claim = c.claim
        ) j
    ) d;
    v_count := coalesce(v_ends[cardinality(v_ends)], 0);

    IF v_count > 0 THEN
        INSERT INTO harbor.events (
            position, log_id, tenant_id, stream_id, version, type, schema_version, event_id, occurred_at, recorded_at,
            actor, correlation_id, causation_id, traceparent, leaf_hash, payload)
        SELECT v_last + v_ends[c.ordinal] - cardinality(c.events) + e.ordinal, p_log_id, c.tenant_id, c.stream_id,
               c.expected_version + e.ordinal, e.type, e.schema_version, e.event_id, e.occurred_at, v_now,
               e.actor, e.correlation_id, e.causation_id, e.traceparent, e.leaf_hash, e.payload
        FROM unnest(p_commands) WITH ORDINALITY AS c (
            tenant_id, key, fingerprint, stream_id, stream_type, expected_version, status, response, claim, events,
            ordinal)
        CROSS JOIN LATERAL unnest(c.events) WITH ORDINALITY AS e (
            event_id, type, schema_version, occurred_at, actor, correlation_id, causation_id, traceparent, leaf_hash,
            payload, ordinal)
        WHERE v_outcomes[c.ordinal] = 'appended';

        INSERT INTO harbor.streams AS s (tenant_id, stream_id, log_id, type, version, first_position, last_position)
        SELECT c.tenant_id, c.stream_id, p_log_id, c.stream_type, c.expected_version + cardinality(c.events),
               v_last + v_ends[c.ordinal] - cardinality(c.events) + 1, v_last + v_ends[c.ordinal]
        FROM unnest(p_commands) WITH ORDINALITY AS c (
            tenant_id, key, fingerprint, stream_id, stream_type, expected_version, status, response, claim, events,
            ordinal)
        WHERE v_outcomes[c.ordinal] = 'appended' AND cardinality(c.events) > 0
        ON CONFLICT (stream_id, tenant_id)
        DO UPDATE SET version = excluded.version, last_position = excluded.last_position;

        INSERT INTO harbor.batches (log_id, first_position, last_position, count, committed_at)
        VALUES (p_log_id, v_last + 1, v_last + v_count, v_count, v_now);

        PERFORM pg_notify('harbor_events', format('%s %s', v_last + 1, v_last + v_count));
    END IF;

    INSERT INTO harbor.claims (tenant_id, claim, stream_id)
    SELECT c.tenant_id, c.claim, c.stream_id
    FROM unnest(p_commands) WITH ORDINALITY AS c (
        tenant_id, key, fingerprint, stream_id, stream_type, expected_version, status, response, claim, events, ordinal)
    WHERE v_outcomes[c.ordinal] = 'appended' AND c.claim IS NOT NULL
    ON CONFLICT (tenant_id, claim) DO NOTHING;

    INSERT INTO harbor.commands (tenant_id, key, fingerprint, status, response, stream_id, version, position, recorded_at)
    SELECT c.tenant_id, c.key, c.fingerprint, c.status, c.response, c.stream_id,
           c.expected_version + cardinality(c.events),
           CASE WHEN cardinality(c.events) > 0 THEN v_last + v_ends[c.ordinal] ELSE v_heads[c.ordinal] END, v_now
    FROM unnest(p_commands) WITH ORDINALITY AS c (
        tenant_id, key, fingerprint, stream_id, stream_type, expected_version, status, response, claim, events, ordinal)
    WHERE v_outcomes[c.ordinal] = 'appended';

    RETURN QUERY
    SELECT v_outcomes[c.ordinal], NULL::smallint, NULL::bytea, c.stream_id, c.expected_version + cardinality(c.events),
           CASE WHEN cardinality(c.events) > 0 THEN v_last + v_ends[c.ordinal] ELSE v_heads[c.ordinal] END, v_now
    FROM unnest(p_commands) WITH ORDINALITY AS c (
        tenant_id, key, fingerprint, stream_id, stream_type, expected_version, status, response, claim, events, ordinal);
END
$$;

GRANT EXECUTE ON FUNCTION harbor.append(smallint, harbor.new_command[]) TO harbor_command;
