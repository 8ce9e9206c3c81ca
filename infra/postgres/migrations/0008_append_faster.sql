-- The same append in four fifths of the time (ADR 0024). harbor.append (0002) stays for processes that still call it.
--
-- harbor.append_batch promises what harbor.append promises and gives the same outcomes. What differs is how it is told and
-- how it answers, because that is where the time went:
--
-- * A column that holds one value for all rows may be an array of one element: p_tenant_ids, p_stream_types,
--   p_expected_versions, p_statuses, e_types, e_schema_versions, e_actors. least(i, cardinality) finds the element.
-- * p_event_counts is NULL when every command has one event. Nobody says whose event is whose: events stand in the order
--   of their commands, and the counts tell.
-- * When every command was appended and has events, there is one row with outcome NULL: "position" is the first of the
--   batch, the others follow in the order given, and the versions are those expected. Otherwise one row per command.
-- * Rows come from array elements by subscript, which is constant time here (PL/pgSQL keeps its arrays deconstructed).
--   unnest() of many arrays fills and reads one tuplestore per array.
CREATE FUNCTION harbor.append_batch(
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
    c_tenants  CONSTANT integer := cardinality(p_tenant_ids);
    c_types    CONSTANT integer := cardinality(p_stream_types);
    c_expected CONSTANT integer := cardinality(p_expected_versions);
    c_statuses CONSTANT integer := cardinality(p_statuses);
    c_names    CONSTANT integer := cardinality(e_types);
    c_schemas  CONSTANT integer := cardinality(e_schema_versions);
    c_actors   CONSTANT integer := cardinality(e_actors);
    v_last     bigint;      -- the last position before this batch
    v_now      timestamptz; -- recorded_at of this batch
    v_horizon  timestamptz; -- no answer was recorded later than this; spares the look into next weeks' partitions
    v_new      boolean;     -- does every command begin a stream?
    v_refused  boolean;     -- may any command not be written?
    v_writes   boolean;     -- is any command to be written?
    v_count    integer;     -- events to be written
    v_outcomes text[];      -- per command; NULL: all are appended
    v_hashes   bigint[];    -- per command: the hash that its key is looked up by
    v_written  integer[];   -- the commands to be written
    v_commands integer[];   -- per event to be written: its command
    v_events   integer[];   -- per event to be written: its place in e_...
    v_versions integer[];   -- per event to be written; NULL: each command has one event
    v_ends     bigint[];    -- per command: its last position; NULL: each command has one event and all are written
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'harbor.append_batch needs READ COMMITTED: another level checks versions against an old snapshot'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        RAISE EXCEPTION 'harbor.append_batch refuses synchronous_commit = %', current_setting('synchronous_commit')
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

    v_hashes := ARRAY(SELECT hashtextextended(k, 0) FROM unnest(p_keys) AS k);

    -- May anything stand in the way? One walk along an index per question, in the order of the index. They may say yes
    -- too often (the key of another tenant, a claim by its holder), never no too often; the exact answer is below.
    v_refused := EXISTS (
        SELECT FROM harbor.commands k
        WHERE hashtextextended(k.key, 0) = ANY (v_hashes)
          AND k.key = ANY (p_keys) AND k.tenant_id = ANY (p_tenant_ids) AND k.recorded_at < v_horizon
    );
    v_new := 0 = ALL (p_expected_versions);
    IF v_new THEN
        v_refused := v_refused OR EXISTS (SELECT FROM harbor.streams s WHERE s.stream_id = ANY (p_stream_ids));
    ELSE
        v_refused := v_refused OR EXISTS (
            SELECT FROM (SELECT generate_series(1, c_size) AS i) AS c
            LEFT JOIN harbor.streams s
                ON s.stream_id = p_stream_ids[c.i] AND s.tenant_id = p_tenant_ids[least(c.i, c_tenants)]
            WHERE coalesce(s.version, 0) <> p_expected_versions[least(c.i, c_expected)]
        );
    END IF;
    IF p_claims IS NOT NULL THEN
        v_refused := v_refused OR EXISTS (
            SELECT FROM harbor.claims t WHERE t.tenant_id = ANY (p_tenant_ids) AND t.claim = ANY (p_claims)
        );
    END IF;

    IF v_refused THEN
        SELECT array_agg(
            CASE
                WHEN k.fingerprint = p_fingerprints[c.i] THEN 'duplicate'
                WHEN k.fingerprint IS NOT NULL THEN 'mismatch'
                WHEN coalesce(s.version, 0) <> p_expected_versions[least(c.i, c_expected)] THEN 'conflict'
                WHEN t.stream_id <> p_stream_ids[c.i] THEN 'claimed'
                ELSE 'appended'
            END ORDER BY c.i)
        INTO v_outcomes
        FROM (SELECT generate_series(1, c_size) AS i) AS c
        LEFT JOIN harbor.commands k
            ON hashtextextended(k.key, 0) = v_hashes[c.i] AND k.key = p_keys[c.i]
           AND k.tenant_id = p_tenant_ids[least(c.i, c_tenants)] AND k.recorded_at < v_horizon
        LEFT JOIN harbor.streams s
            ON s.stream_id = p_stream_ids[c.i] AND s.tenant_id = p_tenant_ids[least(c.i, c_tenants)]
        LEFT JOIN harbor.claims t
            ON t.tenant_id = p_tenant_ids[least(c.i, c_tenants)] AND t.claim = p_claims[c.i];
    END IF;
    v_writes := NOT v_refused OR 'appended' = ANY (v_outcomes);

    -- No index keeps keys unique (0009), so a key that would be written twice by this batch is found here.
    IF v_writes AND c_size <> (SELECT count(DISTINCT h) FROM unnest(v_hashes) AS h) AND EXISTS (
        SELECT FROM (SELECT generate_series(1, c_size) AS i) AS c WHERE NOT v_refused OR v_outcomes[c.i] = 'appended'
        GROUP BY p_keys[c.i], p_tenant_ids[least(c.i, c_tenants)] HAVING count(*) > 1
    ) THEN
        RAISE EXCEPTION 'a key stands twice in one batch' USING ERRCODE = 'unique_violation';
    END IF;

    IF NOT v_refused AND p_event_counts IS NULL THEN
        v_written := ARRAY(SELECT generate_series(1, c_size));
        v_commands := v_written;
        v_events := v_written;
    ELSIF v_writes THEN
        WITH sent AS (
            SELECT i, n, sum(n) OVER (ORDER BY i) - n AS before, is_written,
                   v_last + coalesce(sum(n) FILTER (WHERE is_written) OVER (ORDER BY i), 0) AS upto
            FROM (SELECT i, CASE WHEN p_event_counts IS NULL THEN 1 ELSE p_event_counts[i] END AS n,
                         NOT v_refused OR v_outcomes[i] = 'appended' AS is_written
                  FROM generate_series(1, c_size) AS i) AS counted
        ), written AS (
            SELECT sent.i, e, e - before AS nth FROM sent, generate_series(before + 1, before + n) AS e WHERE is_written
        )
        SELECT (SELECT array_agg(i ORDER BY i) FROM sent WHERE is_written),
               (SELECT array_agg(
                    CASE WHEN n > 0 THEN upto ELSE coalesce((
                        SELECT s.last_position FROM harbor.streams s
                        WHERE s.stream_id = p_stream_ids[i] AND s.tenant_id = p_tenant_ids[least(i, c_tenants)]), 0)
                    END ORDER BY i) FROM sent),
               array_agg(i ORDER BY e), array_agg(e ORDER BY e),
               array_agg(p_expected_versions[least(i, c_expected)] + nth ORDER BY e)
        INTO v_written, v_ends, v_commands, v_events, v_versions
        FROM written;
    END IF;
    v_count := coalesce(cardinality(v_events), 0);

    IF v_count > 0 THEN
        INSERT INTO harbor.events (
            position, log_id, tenant_id, stream_id, version, type, schema_version, event_id, occurred_at, recorded_at,
            actor, correlation_id, causation_id, traceparent, leaf_hash, payload)
        SELECT v_last + w.i, p_log_id, p_tenant_ids[least(w.c, c_tenants)], p_stream_ids[w.c],
               coalesce(w.version, p_expected_versions[least(w.c, c_expected)] + 1), e_types[least(w.e, c_names)],
               e_schema_versions[least(w.e, c_schemas)], e_event_ids[w.e], e_occurred_at[w.e], v_now,
               e_actors[least(w.e, c_actors)], e_correlation_ids[w.e], e_causation_ids[w.e], e_traceparents[w.e],
               e_leaf_hashes[w.e], e_payloads[w.e]
        FROM (
            SELECT generate_series(1, v_count) AS i, unnest(v_commands) AS c, unnest(v_events) AS e,
                   unnest(v_versions) AS version
        ) AS w;

        INSERT INTO harbor.streams (tenant_id, stream_id, log_id, type, version, first_position, last_position)
        SELECT p_tenant_ids[least(w.c, c_tenants)], p_stream_ids[w.c], p_log_id, p_stream_types[least(w.c, c_types)],
               coalesce(p_event_counts[w.c], 1), coalesce(v_ends[w.c], v_last + w.c) - coalesce(p_event_counts[w.c], 1) + 1,
               coalesce(v_ends[w.c], v_last + w.c)
        FROM (SELECT unnest(v_written) AS c) AS w
        WHERE p_expected_versions[least(w.c, c_expected)] = 0 AND coalesce(p_event_counts[w.c], 1) > 0;

        IF NOT v_new THEN
            UPDATE harbor.streams s
            SET version = s.version + coalesce(p_event_counts[w.c], 1), last_position = coalesce(v_ends[w.c], v_last + w.c)
            FROM (SELECT unnest(v_written) AS c) AS w
            WHERE s.stream_id = p_stream_ids[w.c] AND s.tenant_id = p_tenant_ids[least(w.c, c_tenants)]
              AND p_expected_versions[least(w.c, c_expected)] > 0 AND coalesce(p_event_counts[w.c], 1) > 0;
        END IF;

        INSERT INTO harbor.batches (log_id, first_position, last_position, count, committed_at)
        VALUES (p_log_id, v_last + 1, v_last + v_count, v_count, v_now);

        PERFORM pg_notify('harbor_events', format('%s %s', v_last + 1, v_last + v_count));
    END IF;

    IF v_writes AND p_claims IS NOT NULL THEN
        INSERT INTO harbor.claims (tenant_id, claim, stream_id)
        SELECT p_tenant_ids[least(w.c, c_tenants)], p_claims[w.c], p_stream_ids[w.c]
        FROM (SELECT unnest(v_written) AS c) AS w
        WHERE p_claims[w.c] IS NOT NULL AND (NOT v_refused OR NOT EXISTS (
            SELECT FROM harbor.claims t
            WHERE t.tenant_id = p_tenant_ids[least(w.c, c_tenants)] AND t.claim = p_claims[w.c]));
    END IF;

    IF v_writes THEN
        INSERT INTO harbor.commands (
            recorded_at, tenant_id, key, fingerprint, status, response, stream_id, version, position)
        SELECT v_now, p_tenant_ids[least(w.c, c_tenants)], p_keys[w.c], p_fingerprints[w.c],
               p_statuses[least(w.c, c_statuses)], p_responses[w.c], p_stream_ids[w.c],
               p_expected_versions[least(w.c, c_expected)] + coalesce(p_event_counts[w.c], 1),
               coalesce(v_ends[w.c], v_last + w.c)
        FROM (SELECT unnest(v_written) AS c) AS w;
    END IF;

    IF NOT v_refused AND (p_event_counts IS NULL OR 0 <> ALL (p_event_counts)) THEN
        RETURN QUERY SELECT NULL, NULL::smallint, NULL::bytea, NULL::uuid, NULL::integer, v_last + 1, v_now;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT c.outcome, k.status, k.response,
           CASE c.outcome WHEN 'duplicate' THEN k.stream_id WHEN 'claimed' THEN t.stream_id ELSE p_stream_ids[c.i] END,
           CASE c.outcome WHEN 'duplicate' THEN k.version WHEN 'conflict' THEN coalesce(s.version, 0)
                          ELSE p_expected_versions[least(c.i, c_expected)] + coalesce(p_event_counts[c.i], 1) END,
           CASE c.outcome WHEN 'duplicate' THEN k.position ELSE v_ends[c.i] END,
           CASE c.outcome WHEN 'duplicate' THEN k.recorded_at ELSE v_now END
    FROM (SELECT i, coalesce(v_outcomes[i], 'appended') AS outcome FROM generate_series(1, c_size) AS i) AS c
    LEFT JOIN harbor.commands k
        ON c.outcome = 'duplicate' AND hashtextextended(k.key, 0) = v_hashes[c.i] AND k.key = p_keys[c.i]
       AND k.tenant_id = p_tenant_ids[least(c.i, c_tenants)] AND k.recorded_at < v_horizon
    LEFT JOIN harbor.streams s
        ON c.outcome = 'conflict' AND s.stream_id = p_stream_ids[c.i] AND s.tenant_id = p_tenant_ids[least(c.i, c_tenants)]
    LEFT JOIN harbor.claims t
        ON c.outcome = 'claimed' AND t.tenant_id = p_tenant_ids[least(c.i, c_tenants)] AND t.claim = p_claims[c.i]
    ORDER BY c.i;
END
$$;

GRANT EXECUTE ON FUNCTION harbor.append_batch TO harbor_command;
