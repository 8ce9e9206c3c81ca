-- Partitions of the log and of the recorded responses: made ahead, dropped when they expire, and known by their bounds,
-- not by their names, because an operator may rename them and attach others (decision 0025).

-- Return the partitions of a table with their bounds in the catalogue: from `first` up to `beyond`, NULL where there is no
-- limit. A default partition has no bounds and is left out. Instants are written in the time zone of the session.
CREATE FUNCTION harbor.partition_bounds(
    p_parent regclass, OUT partition regclass, OUT name text, OUT first text, OUT beyond text
) RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT pg_class.oid::regclass, relname::text, bounds[1], bounds[2]
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
CROSS JOIN LATERAL regexp_match(
    pg_get_expr(relpartbound, pg_class.oid), $re$FROM \((?:'(.+?)'|MINVALUE)\) TO \((?:'(.+?)'|MAXVALUE)\)$re$
) AS bounds
WHERE inhparent = p_parent AND bounds IS NOT NULL
$$;

-- Return the first position from p_from on that no partition of the log holds.
CREATE FUNCTION harbor.first_open_position(p_from bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_first  bigint;
    v_beyond bigint;
BEGIN
    FOR v_first, v_beyond IN
        SELECT coalesce(first::bigint, 0) AS start, coalesce(beyond::bigint, 9223372036854775807)
        FROM harbor.partition_bounds('harbor.events') ORDER BY start
    LOOP
        IF v_first <= p_from AND p_from < v_beyond THEN
            p_from := v_beyond;
        END IF;
    END LOOP;
    RETURN p_from;
END
$$;

-- Return the first instant from p_from on that no partition of recorded responses holds.
CREATE FUNCTION harbor.first_open_instant(p_from timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    v_first  timestamptz;
    v_beyond timestamptz;
BEGIN
    FOR v_first, v_beyond IN
        SELECT coalesce(first::timestamptz, '-infinity') AS start, coalesce(beyond::timestamptz, 'infinity')
        FROM harbor.partition_bounds('harbor.recorded_responses') ORDER BY start
    LOOP
        IF v_first <= p_from AND p_from < v_beyond THEN
            p_from := v_beyond;
        END IF;
    END LOOP;
    RETURN p_from;
END
$$;

-- Return the last position of the log that is furthest. One index look-up per log: max(last_position) over all of them
-- would read the whole ledger.
CREATE FUNCTION harbor.furthest_position() RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
WITH RECURSIVE logs AS (
    (SELECT log_id, last_position FROM harbor.batches ORDER BY log_id DESC, last_position DESC LIMIT 1)
    UNION ALL
    SELECT b.log_id, b.last_position
    FROM logs CROSS JOIN LATERAL (
        SELECT log_id, last_position FROM harbor.batches WHERE batches.log_id < logs.log_id
        ORDER BY log_id DESC, last_position DESC LIMIT 1
    ) AS b
)
SELECT coalesce(max(last_position), 0) FROM logs
$$;

-- Return how far the log and the recorded responses may go before a partition is missing. Changes nothing, so that the
-- alarm also works where partitions cannot be made.
CREATE FUNCTION harbor.partitions_ahead(OUT events_left bigint, OUT responses_left interval)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    v_head CONSTANT bigint := harbor.furthest_position();
    v_now  CONSTANT timestamptz := clock_timestamp();
BEGIN
    events_left := harbor.first_open_position(v_head + 1) - 1 - v_head;
    responses_left := least(harbor.first_open_instant(v_now), v_now + interval '100 years') - v_now;
END
$$;

-- Return the name, or, where a partition has it already, the name with `p_more` behind it.
CREATE FUNCTION harbor.partition_name(p_name text, p_more text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT CASE
    WHEN EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(format('harbor.%I', p_name)))
    THEN p_name || '_' || p_more ELSE p_name
END
$$;

-- Make one partition beside the table and attach it: unlike CREATE TABLE ... PARTITION OF this does not lock the parent
-- against readers and writers. A table of this name that is no partition, because somebody detached it, is attached again.
CREATE FUNCTION harbor.add_partition(p_parent text, p_name text, p_column text, p_from text, p_to text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_table regclass := to_regclass(format('harbor.%I', p_name));
BEGIN
    IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = v_table) THEN
        RETURN;
    END IF;
    IF v_table IS NULL THEN
        EXECUTE format('CREATE TABLE harbor.%I (LIKE harbor.%I INCLUDING ALL)', p_name, p_parent);
        IF p_parent = 'events' THEN
            -- Not an index of the parent, which would have to contain the position.
            EXECUTE format('CREATE UNIQUE INDEX ON harbor.%I (stream_id, tenant_id, version)', p_name);
        ELSE
            -- Responses live for a week, so compressing them is not worth the time: those above 2 kB stay as they are, up
            -- to a page. Payloads live forever and are compressed.
            EXECUTE format('ALTER TABLE harbor.%I SET (toast_tuple_target = 8160)', p_name);
        END IF;
    END IF;
    EXECUTE format('ALTER TABLE harbor.%I DROP CONSTRAINT IF EXISTS bounds', p_name);
    EXECUTE format('ALTER TABLE harbor.%I ADD CONSTRAINT bounds CHECK (%I >= %L AND %I < %L)',
                   p_name, p_column, p_from, p_column, p_to);
    EXECUTE format('ALTER TABLE harbor.%I ATTACH PARTITION harbor.%I FOR VALUES FROM (%L) TO (%L)',
                   p_parent, p_name, p_from, p_to);
    EXECUTE format('ALTER TABLE harbor.%I DROP CONSTRAINT bounds', p_name);
END
$$;

-- Make the partitions of the next two steps of both tables exist and drop partitions of responses that are older than 7
-- days. Safe to call at any time, from anywhere: it is one transaction, and a crash leaves nothing half-made.
CREATE FUNCTION harbor.maintain_partitions(OUT events_left bigint, OUT responses_left interval, OUT dropped text[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '2s' AS $$
DECLARE
    c_events CONSTANT bigint := 10000000; -- events per partition
    c_lock   CONSTANT bigint := 4851286503187210;
    c_most   CONSTANT integer := 20;      -- partitions made in one call, of each table: odd bounds may need many
    v_now    CONSTANT timestamptz := clock_timestamp();
    v_head   bigint;
    v_open   bigint;                      -- the first position that no partition holds
    v_from   bigint;
    v_to     bigint;
    v_since  timestamptz;                 -- the first instant that no partition holds
    v_begin  timestamptz;
    v_end    timestamptz;
    v_old    regclass;
    v_name   text;
BEGIN
    PERFORM pg_advisory_xact_lock(c_lock); -- one maintainer at a time; appends do not take this lock

    -- Events: fill the whole step around the first open position, as far as other partitions leave it open.
    v_head := harbor.furthest_position();
    FOR made IN 1..c_most LOOP
        v_open := harbor.first_open_position(v_head + 1);
        EXIT WHEN v_open >= (v_head / c_events + 3) * c_events;
        SELECT greatest((v_open / c_events) * c_events, max(beyond::bigint) FILTER (WHERE beyond::bigint <= v_open)),
               least((v_open / c_events + 1) * c_events, min(first::bigint) FILTER (WHERE first::bigint > v_open))
        INTO v_from, v_to FROM harbor.partition_bounds('harbor.events');
        v_name := harbor.partition_name('events_' || lpad((v_from / c_events)::text, 6, '0'), v_from::text);
        PERFORM harbor.add_partition('events', v_name, 'position', v_from::text, v_to::text);
    END LOOP;

    -- Responses: the same by weeks.
    FOR made IN 1..c_most LOOP
        v_since := harbor.first_open_instant(v_now);
        EXIT WHEN v_since >= date_trunc('week', v_now) + interval '21 days';
        SELECT greatest(date_trunc('week', v_since),
                        max(beyond::timestamptz) FILTER (WHERE beyond::timestamptz <= v_since)),
               least(date_trunc('week', v_since) + interval '7 days',
                     min(first::timestamptz) FILTER (WHERE first::timestamptz > v_since))
        INTO v_begin, v_end FROM harbor.partition_bounds('harbor.recorded_responses');
        v_name := harbor.partition_name(
            'recorded_responses_' || to_char(v_begin, 'YYYYMMDD'), to_char(v_begin, 'HH24MISSUS'));
        PERFORM harbor.add_partition('recorded_responses', v_name, 'recorded_at', v_begin::text, v_end::text);
    END LOOP;

    -- Dropping a partition locks its parent against everybody, and every append waits behind the one who waits for that
    -- lock. So the wait is short: a reader who stays, such as a dump, only delays the drop until the next call.
    dropped := ARRAY[]::text[];
    PERFORM set_config('lock_timeout', '100ms', true);
    FOR v_old, v_name IN
        SELECT partition, name FROM harbor.partition_bounds('harbor.recorded_responses')
        WHERE beyond::timestamptz + interval '7 days' <= v_now ORDER BY beyond::timestamptz
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE %s', v_old);
            dropped := dropped || v_name;
        EXCEPTION
            WHEN lock_not_available THEN EXIT;
            WHEN insufficient_privilege OR dependent_objects_still_exist THEN
                RAISE WARNING 'the expired partition % cannot be dropped: %', v_old, SQLERRM;
        END;
    END LOOP;

    SELECT a.events_left, a.responses_left INTO events_left, responses_left FROM harbor.partitions_ahead() AS a;
END
$$;

SELECT harbor.maintain_partitions();

GRANT EXECUTE ON FUNCTION harbor.maintain_partitions(), harbor.partitions_ahead() TO harbor_command;
