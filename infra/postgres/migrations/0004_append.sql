-- The one way into the log: many commands in one call, one round trip, one commit (decision 0020, decision 0024).
--
-- Parameters. Commands and their events travel as parallel arrays: element i of each p_ array belongs to command i,
-- element j of each e_ array to event j. Events stand in the order of their commands.
--   * p_tenant_ids, p_stream_types, p_expected_versions, p_statuses, e_types, e_schema_versions and e_actors may have a
--     single element, which then holds for all rows. least(i, cardinality) finds the element.
--   * p_claims, e_correlation_ids, e_causation_ids and e_traceparents may be NULL: no row has a value.
--   * p_event_counts may be NULL: every command has one event. A count of 0 records only the response.
--
-- Result. When every command was appended and has events: one row whose outcome is NULL. Its position is the first of
-- the batch; the others follow in the order given, and each version is the expected one plus the events.
-- Otherwise one row per command, in the order given. Its outcome is one of
--   appended   version and position are of its last event (of the stream as it was, when it has none)
--   duplicate  the key was used by the same request: its status, response, stream, version, position, recorded_at
--   mismatch   the key was used by another request
--   conflict   version is the real version of the stream
--   claimed    stream_id is the owner of the claim
-- A refused command uses no position and never changes the outcome of another. A batch names a stream, a key and a
-- claim at most once; a caller that breaks this gets an error for the whole batch, and nothing is written.
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
    p_claims            text[],
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
-- Look-ups use an index whatever the statistics say: a plan made while the tables were empty would stay sequential.
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
    v_hashes   bigint[];    -- per command: the hash that its key is looked up by
    v_doubtful boolean;     -- may any command have to be refused?
    v_outcomes text[];      -- per command
    v_count    integer;     -- events written
    v_sent     integer[];   -- per command: events sent up to its last one
    v_written  integer[];   -- per command: events written up to its last one
BEGIN
    -- 1. Refuse sessions in which the append would not be safe.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'harbor.append_batch needs READ COMMITTED: another level checks versions against an old snapshot'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    IF current_setting('synchronous_commit') IN ('off', 'local') THEN
        RAISE EXCEPTION 'harbor.append_batch refuses synchronous_commit = %', current_setting('synchronous_commit')
            USING ERRCODE = 'invalid_transaction_state';
    END IF;

    -- 2. Lock the log until the transaction ends. A statement of its own: each later one takes a new snapshot and sees
    -- what the previous holder of the lock committed.
    PERFORM pg_advisory_xact_lock(1212240466, p_log_id);

    SELECT b.last_position, greatest(clock_timestamp(), b.committed_at) INTO v_last, v_now
    FROM harbor.batches b WHERE b.log_id = p_log_id ORDER BY b.last_position DESC LIMIT 1;
    IF NOT FOUND THEN
        v_last := 0;
        v_now := clock_timestamp();
    END IF;

    -- 3. Can any command have to be refused? Each question is one walk along an index, in its order. The answer may be
    -- yes too often (the key of another tenant, a claim by its owner) but never no too often; 4 decides exactly.
    v_hashes := ARRAY(SELECT hashtextextended(key, 0) FROM unnest(p_keys) AS key);
    v_doubtful := EXISTS (
        SELECT FROM harbor.recorded_responses r
        WHERE hashtextextended(r.key, 0) = ANY (v_hashes) AND r.key = ANY (p_keys) AND r.tenant_id = ANY (p_tenant_ids)
    );
    IF 0 = ALL (p_expected_versions) THEN
        v_doubtful := v_doubtful OR EXISTS (SELECT FROM harbor.streams s WHERE s.stream_id = ANY (p_stream_ids));
    ELSE
        v_doubtful := v_doubtful OR EXISTS (
            SELECT FROM (SELECT generate_series(1, c_size) AS i) AS c
            LEFT JOIN harbor.streams s
                ON s.stream_id = p_stream_ids[i] AND s.tenant_id = p_tenant_ids[least(i, c_tenants)]
            WHERE coalesce(s.version, 0) <> p_expected_versions[least(i, c_expected)]
        );
    END IF;
    IF p_claims IS NOT NULL THEN
        v_doubtful := v_doubtful OR EXISTS (
            SELECT FROM harbor.claims o WHERE o.tenant_id = ANY (p_tenant_ids) AND o.claim = ANY (p_claims)
        );
    END IF;

    -- 4. If so, find the outcome of each command: by its key first, then by its stream, then by its claim.
    v_outcomes := array_fill('appended'::text, ARRAY[c_size]);
    IF v_doubtful THEN
        SELECT array_agg(
            CASE
                WHEN r.fingerprint = p_fingerprints[i] THEN 'duplicate'
                WHEN r.fingerprint IS NOT NULL THEN 'mismatch'
                WHEN coalesce(s.version, 0) <> p_expected_versions[least(i, c_expected)] THEN 'conflict'
                WHEN o.stream_id <> p_stream_ids[i] THEN 'claimed'
                ELSE 'appended'
            END ORDER BY i)
        INTO v_outcomes
        FROM (SELECT generate_series(1, c_size) AS i) AS c
        LEFT JOIN harbor.recorded_responses r
            ON hashtextextended(r.key, 0) = v_hashes[i] AND r.key = p_keys[i]
           AND r.tenant_id = p_tenant_ids[least(i, c_tenants)]
        LEFT JOIN harbor.streams s
            ON s.stream_id = p_stream_ids[i] AND s.tenant_id = p_tenant_ids[least(i, c_tenants)]
        LEFT JOIN harbor.claims o
            ON o.tenant_id = p_tenant_ids[least(i, c_tenants)] AND o.claim = p_claims[i];
    END IF;

    IF NOT v_doubtful OR 'appended' = ANY (v_outcomes) THEN
        -- 5. No index keeps keys unique over the partitions, so a key that this batch would write twice is found here.
        IF c_size <> (SELECT count(DISTINCT hash) FROM unnest(v_hashes) AS hash) AND EXISTS (
            SELECT FROM generate_series(1, c_size) AS i WHERE v_outcomes[i] = 'appended'
            GROUP BY p_keys[i], p_tenant_ids[least(i, c_tenants)] HAVING count(*) > 1
        ) THEN
            RAISE EXCEPTION 'a key stands twice in one batch' USING ERRCODE = 'unique_violation';
        END IF;

        -- 6. Number the events: up to the last one of each command, how many were sent and how many are written. Where
        -- every command is written and has one event, both are the number of the command, and the arrays stay NULL.
        IF v_doubtful OR p_event_counts IS NOT NULL THEN
            SELECT array_agg(sent ORDER BY i), array_agg(written ORDER BY i) INTO v_sent, v_written
            FROM (
                SELECT i, sum(events) OVER upto AS sent,
                       sum(CASE WHEN v_outcomes[i] = 'appended' THEN events ELSE 0 END) OVER upto AS written
                FROM (SELECT i, coalesce(p_event_counts[i], 1) AS events FROM generate_series(1, c_size) AS i) AS counted
                WINDOW upto AS (ORDER BY i)
            ) AS summed;
        END IF;

        -- 7. Write the events, the new streams and the responses: one statement, since they are made of the same rows.
        WITH command AS (
            SELECT i, p_tenant_ids[least(i, c_tenants)] AS tenant_id, p_stream_ids[i] AS stream_id,
                   p_expected_versions[least(i, c_expected)] AS expected_version,
                   coalesce(p_event_counts[i], 1) AS events, coalesce(v_sent[i], i) AS sent,
                   v_last + coalesce(v_written[i], i) AS last_position
            FROM generate_series(1, c_size) AS i WHERE v_outcomes[i] = 'appended'
        ), event AS (
            -- The nth event of its command; e is its index in the e_ arrays.
            SELECT *, sent - events + nth AS e
            FROM (SELECT *, generate_series(1, events) AS nth FROM command) AS numbered
        ), new_events AS (
            INSERT INTO harbor.events (
                position, log_id, tenant_id, stream_id, version, type, schema_version, event_id, occurred_at,
                recorded_at, actor, correlation_id, causation_id, traceparent, leaf_hash, payload)
            SELECT last_position - events + nth, p_log_id, tenant_id, stream_id, expected_version + nth,
                   e_types[least(e, c_names)], e_schema_versions[least(e, c_schemas)], e_event_ids[e], e_occurred_at[e],
                   v_now, e_actors[least(e, c_actors)], e_correlation_ids[e], e_causation_ids[e], e_traceparents[e],
                   e_leaf_hashes[e], e_payloads[e]
            FROM event
        ), new_streams AS (
            INSERT INTO harbor.streams (tenant_id, stream_id, log_id, type, version, first_position, last_position)
            SELECT tenant_id, stream_id, p_log_id, p_stream_types[least(i, c_types)], events, last_position - events + 1,
                   last_position
            FROM command WHERE expected_version = 0 AND events > 0
        )
        INSERT INTO harbor.recorded_responses (
            recorded_at, tenant_id, key, fingerprint, status, response, stream_id, version, position)
        SELECT v_now, tenant_id, p_keys[i], p_fingerprints[i], p_statuses[least(i, c_statuses)], p_responses[i], stream_id,
               expected_version + events,
               CASE WHEN events > 0 THEN last_position ELSE coalesce((
                   SELECT s.last_position FROM harbor.streams s
                   WHERE s.stream_id = command.stream_id AND s.tenant_id = command.tenant_id), 0) END
        FROM command;

        IF 0 < ANY (p_expected_versions) THEN
            UPDATE harbor.streams s
            SET version = s.version + coalesce(p_event_counts[i], 1), last_position = v_last + coalesce(v_written[i], i)
            FROM (SELECT generate_series(1, c_size) AS i) AS c
            WHERE s.stream_id = p_stream_ids[i] AND s.tenant_id = p_tenant_ids[least(i, c_tenants)]
              AND p_expected_versions[least(i, c_expected)] > 0 AND coalesce(p_event_counts[i], 1) > 0
              AND v_outcomes[i] = 'appended';
        END IF;

        IF p_claims IS NOT NULL THEN
            INSERT INTO harbor.claims (tenant_id, claim, stream_id)
            SELECT p_tenant_ids[least(i, c_tenants)], p_claims[i], p_stream_ids[i] FROM generate_series(1, c_size) AS i
            WHERE p_claims[i] IS NOT NULL AND v_outcomes[i] = 'appended'
              AND (NOT v_doubtful OR NOT EXISTS ( -- its stream may have it already
                  SELECT FROM harbor.claims o
                  WHERE o.tenant_id = p_tenant_ids[least(i, c_tenants)] AND o.claim = p_claims[i]));
        END IF;

        v_count := coalesce(v_written[c_size], c_size);
        IF v_count > 0 THEN
            INSERT INTO harbor.batches (log_id, first_position, last_position, count, committed_at)
            VALUES (p_log_id, v_last + 1, v_last + v_count, v_count, v_now);
            PERFORM pg_notify('harbor_events', format('%s %s', v_last + 1, v_last + v_count));
        END IF;
    END IF;

    -- 8. Return the outcomes.
    IF NOT v_doubtful AND (p_event_counts IS NULL OR 0 <> ALL (p_event_counts)) THEN
        RETURN QUERY SELECT NULL, NULL::smallint, NULL::bytea, NULL::uuid, NULL::integer, v_last + 1, v_now;
        RETURN;
    END IF;
    -- What was appended is recorded by now, just as what was repeated.
    RETURN QUERY
    SELECT c.outcome, CASE c.outcome WHEN 'duplicate' THEN r.status END,
           CASE c.outcome WHEN 'duplicate' THEN r.response END, coalesce(o.stream_id, r.stream_id),
           CASE c.outcome WHEN 'conflict' THEN coalesce(s.version, 0) ELSE r.version END, r.position, r.recorded_at
    FROM (SELECT i, v_outcomes[i] AS outcome FROM generate_series(1, c_size) AS i) AS c
    LEFT JOIN harbor.recorded_responses r
        ON c.outcome IN ('appended', 'duplicate') AND hashtextextended(r.key, 0) = v_hashes[i] AND r.key = p_keys[i]
       AND r.tenant_id = p_tenant_ids[least(i, c_tenants)]
    LEFT JOIN harbor.streams s
        ON c.outcome = 'conflict' AND s.stream_id = p_stream_ids[i] AND s.tenant_id = p_tenant_ids[least(i, c_tenants)]
    LEFT JOIN harbor.claims o
        ON c.outcome = 'claimed' AND o.tenant_id = p_tenant_ids[least(i, c_tenants)] AND o.claim = p_claims[i]
    ORDER BY i;
END
$$;

GRANT EXECUTE ON FUNCTION harbor.append_batch TO harbor_command;
