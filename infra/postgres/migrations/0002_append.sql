-- The one way into the log: many commands in one call, one round trip, one commit. ADR 0020.
--
-- Commands and their events travel as parallel arrays, the fastest thing PostgreSQL can decode: element i of each p_...
-- array belongs to command i, element j of each e_... array to event j; e_command says whose event it is. Events stand in
-- the order of their commands. p_event_counts[i] may be 0: then only the answer is recorded.
--
-- One row per command, in the order given. outcome is one of
--   appended   version and position are of its last event (of the stream as it was, when it has none)
--   duplicate  the key was used by the same request: its status, response, stream, version, position, recorded_at
--   mismatch   the key was used by another request
--   conflict   version is the real version of the stream
--   claimed    stream_id is the owner of the claim
-- A refused command burns no position and never changes the outcome of another. A batch holds a stream, a key and a
-- claim at most once; a caller that breaks this gets an error for the whole batch and nothing is written.
CREATE FUNCTION harbor.append(
    p_log_id            smallint,
    p_tenant_ids        text[],
    p_keys              text[],
    p_fingerprints      bytea[],
    p_stream_ids        uuid[],
    p_stream_types      text[],
    p_expected_versions integer[],
    p_statuses          smallint[],
    p_responses         bytea[],
    p_claims            text[],    -- an array of nothing but NULL may be NULL itself, here and in e_...
    p_event_counts      integer[],
    e_command           integer[],
    e_event_ids         uuid[],
    e_types             text[],
    e_schema_versions   integer[],
    e_occurred_at       timestamptz[],
    e_actors            text[],
    e_correlation_ids   text[],
    e_causation_ids     text[],
    e_traceparents      text[],
    e_leaf_hashes       bytea[],
    e_payloads          bytea[]
) RETURNS TABLE (
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
    c_size     CONSTANT integer := cardinality(p_keys);
    v_last     bigint;                -- the last position before this batch
    v_now      timestamptz;           -- recorded_at of this batch
    v_horizon  timestamptz;           -- no answer was recorded later than this; spares the look into next weeks' partitions
    v_refused  boolean;               -- is any command not to be written?
    v_outcomes text[];                -- per command, when one is refused
    v_ends     bigint[] := p_expected_versions; -- per command: its last position; an array of the right size to fill
    v_before   integer[] := p_expected_versions; -- per command: events of the batch in front of its own
    v_skipped  integer[] := p_expected_versions; -- per command: events in front of its own that are not written
    v_sent     integer := 0;
    v_skip     integer := 0;
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
    v_horizon := v_now + interval '1 day'; -- a day, in case the clock was set back since

    -- The usual batch: nothing stands in its way.
    v_refused := EXISTS (
        SELECT FROM unnest(p_tenant_ids, p_keys) AS c (tenant_id, key)
        JOIN harbor.commands k ON k.key = c.key AND k.tenant_id = c.tenant_id AND k.recorded_at < v_horizon
    ) OR EXISTS (
        SELECT FROM unnest(p_tenant_ids, p_stream_ids, p_expected_versions) AS c (tenant_id, stream_id, expected)
        LEFT JOIN harbor.streams s ON s.stream_id = c.stream_id AND s.tenant_id = c.tenant_id
        WHERE coalesce(s.version, 0) <> c.expected
    ) OR (p_claims IS NOT NULL AND EXISTS (
        SELECT FROM unnest(p_tenant_ids, p_claims, p_stream_ids) AS c (tenant_id, claim, stream_id)
        JOIN harbor.claims t ON t.tenant_id = c.tenant_id AND t.claim = c.claim AND t.stream_id <> c.stream_id
    ));

    IF v_refused THEN
        SELECT array_agg(
            CASE
                WHEN k.fingerprint = c.fingerprint THEN 'duplicate'
                WHEN k.fingerprint IS NOT NULL THEN 'mismatch'
                WHEN coalesce(s.version, 0) <> c.expected THEN 'conflict'
                WHEN t.stream_id <> c.stream_id THEN 'claimed'
                ELSE 'appended'
            END ORDER BY c.ordinal)
        INTO v_outcomes
        FROM unnest(p_tenant_ids, p_keys, p_fingerprints, p_stream_ids, p_expected_versions, p_claims) WITH ORDINALITY
            AS c (tenant_id, key, fingerprint, stream_id, expected, claim, ordinal)
        LEFT JOIN harbor.commands k ON k.key = c.key AND k.tenant_id = c.tenant_id AND k.recorded_at < v_horizon
        LEFT JOIN harbor.streams s ON s.stream_id = c.stream_id AND s.tenant_id = c.tenant_id
        LEFT JOIN harbor.claims t ON t.tenant_id = c.tenant_id AND t.claim = c.claim;
    END IF;

    FOR i IN 1..c_size LOOP
        v_before[i] := v_sent;
        v_skipped[i] := v_skip;
        v_sent := v_sent + p_event_counts[i];
        IF v_refused AND v_outcomes[i] <> 'appended' THEN
            v_skip := v_skip + p_event_counts[i];
        END IF;
        IF p_event_counts[i] > 0 THEN
            v_ends[i] := v_last + v_sent - v_skip;
        ELSE
            v_ends[i] := coalesce((
                SELECT s.last_position FROM harbor.streams s
                WHERE s.stream_id = p_stream_ids[i] AND s.tenant_id = p_tenant_ids[i]), 0);
        END IF;
    END LOOP;

    IF v_sent > v_skip THEN
        INSERT INTO harbor.events (
            position, log_id, tenant_id, stream_id, version, type, schema_version, event_id, occurred_at, recorded_at,
            actor, correlation_id, causation_id, traceparent, leaf_hash, payload)
        SELECT v_last + e.ordinal - v_skipped[e.command], p_log_id, p_tenant_ids[e.command], p_stream_ids[e.command],
               p_expected_versions[e.command] + e.ordinal - v_before[e.command], e.type, e.schema_version, e.event_id,
               e.occurred_at, v_now, e.actor, e.correlation_id, e.causation_id, e.traceparent, e.leaf_hash, e.payload
        FROM unnest(
            e_command, e_event_ids, e_types, e_schema_versions, e_occurred_at, e_actors, e_correlation_ids,
            e_causation_ids, e_traceparents, e_leaf_hashes, e_payloads
        ) WITH ORDINALITY AS e (
            command, event_id, type, schema_version, occurred_at, actor, correlation_id,
            causation_id, traceparent, leaf_hash, payload, ordinal)
        WHERE NOT v_refused OR v_outcomes[e.command] = 'appended';

        INSERT INTO harbor.streams (tenant_id, stream_id, log_id, type, version, first_position, last_position)
        SELECT c.tenant_id, c.stream_id, p_log_id, c.type, c.events, c.upto - c.events + 1, c.upto
        FROM unnest(p_tenant_ids, p_stream_ids, p_stream_types, p_expected_versions, p_event_counts, v_ends)
            WITH ORDINALITY AS c (tenant_id, stream_id, type, expected, events, upto, ordinal)
        WHERE c.expected = 0 AND c.events > 0 AND (NOT v_refused OR v_outcomes[c.ordinal] = 'appended');

        IF 0 < ANY (p_expected_versions) THEN
            UPDATE harbor.streams s SET version = c.expected + c.events, last_position = c.upto
            FROM unnest(p_tenant_ids, p_stream_ids, p_expected_versions, p_event_counts, v_ends)
                WITH ORDINALITY AS c (tenant_id, stream_id, expected, events, upto, ordinal)
            WHERE s.stream_id = c.stream_id AND s.tenant_id = c.tenant_id
              AND c.expected > 0 AND c.events > 0 AND (NOT v_refused OR v_outcomes[c.ordinal] = 'appended');
        END IF;

        INSERT INTO harbor.batches (log_id, first_position, last_position, count, committed_at)
        VALUES (p_log_id, v_last + 1, v_last + v_sent - v_skip, v_sent - v_skip, v_now);

        PERFORM pg_notify('harbor_events', format('%s %s', v_last + 1, v_last + v_sent - v_skip));
    END IF;

    IF p_claims IS NOT NULL THEN
        INSERT INTO harbor.claims (tenant_id, claim, stream_id)
        SELECT c.tenant_id, c.claim, c.stream_id
        FROM unnest(p_tenant_ids, p_claims, p_stream_ids) WITH ORDINALITY AS c (tenant_id, claim, stream_id, ordinal)
        LEFT JOIN harbor.claims t ON t.tenant_id = c.tenant_id AND t.claim = c.claim
        WHERE c.claim IS NOT NULL AND t.claim IS NULL AND (NOT v_refused OR v_outcomes[c.ordinal] = 'appended');
    END IF;

    INSERT INTO harbor.commands (
        recorded_at, tenant_id, key, fingerprint, status, response, stream_id, version, position)
    SELECT v_now, c.tenant_id, c.key, c.fingerprint, c.status, c.response, c.stream_id, c.expected + c.events, c.upto
    FROM unnest(p_tenant_ids, p_keys, p_fingerprints, p_statuses, p_responses, p_stream_ids, p_expected_versions,
                p_event_counts, v_ends) WITH ORDINALITY
        AS c (tenant_id, key, fingerprint, status, response, stream_id, expected, events, upto, ordinal)
    WHERE NOT v_refused OR v_outcomes[c.ordinal] = 'appended';

    IF NOT v_refused THEN
        RETURN QUERY
        SELECT 'appended', NULL::smallint, NULL::bytea, c.stream_id, c.expected + c.events, c.upto, v_now
        FROM unnest(p_stream_ids, p_expected_versions, p_event_counts, v_ends) AS c (stream_id, expected, events, upto);
        RETURN;
    END IF;
    RETURN QUERY
    SELECT c.outcome, k.status, k.response,
           CASE c.outcome WHEN 'duplicate' THEN k.stream_id WHEN 'claimed' THEN t.stream_id ELSE c.stream_id END,
           CASE c.outcome WHEN 'duplicate' THEN k.version WHEN 'conflict' THEN coalesce(s.version, 0)
                          ELSE c.expected + c.events END,
           CASE c.outcome WHEN 'duplicate' THEN k.position ELSE c.upto END,
           CASE c.outcome WHEN 'duplicate' THEN k.recorded_at ELSE v_now END
    FROM unnest(v_outcomes, p_tenant_ids, p_keys, p_stream_ids, p_expected_versions, p_event_counts, v_ends, p_claims)
        WITH ORDINALITY AS c (outcome, tenant_id, key, stream_id, expected, events, upto, claim, ordinal)
    LEFT JOIN harbor.commands k
        ON c.outcome = 'duplicate' AND k.key = c.key AND k.tenant_id = c.tenant_id AND k.recorded_at < v_horizon
    LEFT JOIN harbor.streams s ON c.outcome = 'conflict' AND s.stream_id = c.stream_id AND s.tenant_id = c.tenant_id
    LEFT JOIN harbor.claims t ON c.outcome = 'claimed' AND t.tenant_id = c.tenant_id AND t.claim = c.claim
    ORDER BY c.ordinal;
END
$$;

GRANT EXECUTE ON FUNCTION harbor.append TO harbor_command;
