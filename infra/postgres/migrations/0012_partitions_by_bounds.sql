-- Partitions are known by their bounds, not by their names: an operator may rename them, and attach his own (ADR 0025).

-- The partitions of a table with the bounds that the catalogue has: from `first` up to `beyond`, NULL where there is no
-- limit. A default partition has no bounds and is none of them. Instants are written in the time zone of the session.
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

-- The first position from p_from on that no partition of the log holds.
CREATE FUNCTION harbor.events_reach(p_from bigint) RETURNS bigint
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

-- The first instant from p_from on that no partition of answers holds.
CREATE FUNCTION harbor.answers_reach(p_from timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    v_first  timestamptz;
    v_beyond timestamptz;
BEGIN
    FOR v_first, v_beyond IN
        SELECT coalesce(first::timestamptz, '-infinity') AS start, coalesce(beyond::timestamptz, 'infinity')
        FROM harbor.partition_bounds('harbor.commands') ORDER BY start
    LOOP
        IF v_first <= p_from AND p_from < v_beyond THEN
            p_from := v_beyond;
        END IF;
    END LOOP;
    RETURN p_from;
END
$$;

-- Gives the name, or where a partition has it already the name with `p_more` behind it.
CREATE FUNCTION harbor.partition_name(p_name text, p_more text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
SELECT CASE
    WHEN EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(format('harbor.%I', p_name)))
    THEN p_name || '_' || p_more ELSE p_name
END
$$;

-- Replaces the function of 0009. New: a partition without a lower or an upper limit counts for what it holds.
CREATE OR REPLACE FUNCTION harbor.partitions_ahead(OUT events_left bigint, OUT commands_left interval)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    v_head CONSTANT bigint := harbor.furthest_position();
    v_now  CONSTANT timestamptz := clock_timestamp();
BEGIN
    events_left := harbor.events_reach(v_head + 1) - 1 - v_head;
    commands_left := least(harbor.answers_reach(v_now), v_now + interval '100 years') - v_now;
END
$$;

-- Replaces the function of 0009. New: what is missing is what no partition holds, and what has expired is what ends more
-- than 7 days ago, whatever the names are; a partition that is not ours to drop stops nothing.
CREATE OR REPLACE FUNCTION harbor.maintain_partitions(
    OUT events_left bigint, OUT commands_left interval, OUT dropped text[]
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '2s' AS $$
DECLARE
    c_events CONSTANT bigint := 10000000; -- events per partition
    c_lock   CONSTANT bigint := 4851286503187210;
    c_most   CONSTANT integer := 20;      -- partitions made in one call, of each table: of odd bounds it may take many
    v_now    CONSTANT timestamptz := clock_timestamp();
    v_head   bigint;
    v_open   bigint;                      -- the first position that no partition holds
    v_from   bigint;
    v_to     bigint;
    v_since  timestamptz;                 -- the same of answers
    v_begin  timestamptz;
    v_end    timestamptz;
    v_old    regclass;
    v_name   text;
BEGIN
    PERFORM pg_advisory_xact_lock(c_lock); -- one maintainer at a time; appends do not take this lock
    v_head := harbor.furthest_position();
    FOR made IN 1..c_most LOOP
        v_open := harbor.events_reach(v_head + 1);
        EXIT WHEN v_open >= (v_head / c_events + 3) * c_events;
        -- The whole step that it lies in, as far as others leave it open.
        SELECT greatest((v_open / c_events) * c_events, max(beyond::bigint) FILTER (WHERE beyond::bigint <= v_open)),
               least((v_open / c_events + 1) * c_events, min(first::bigint) FILTER (WHERE first::bigint > v_open))
        INTO v_from, v_to FROM harbor.partition_bounds('harbor.events');
        v_name := harbor.partition_name('events_' || lpad((v_from / c_events)::text, 6, '0'), v_from::text);
        PERFORM harbor.add_partition('events', v_name, 'position', v_from::text, v_to::text, 'stream_id, tenant_id, version');
    END LOOP;
    FOR made IN 1..c_most LOOP
        v_since := harbor.answers_reach(v_now);
        EXIT WHEN v_since >= date_trunc('week', v_now) + interval '21 days';
        SELECT greatest(date_trunc('week', v_since),
                        max(beyond::timestamptz) FILTER (WHERE beyond::timestamptz <= v_since)),
               least(date_trunc('week', v_since) + interval '7 days',
                     min(first::timestamptz) FILTER (WHERE first::timestamptz > v_since))
        INTO v_begin, v_end FROM harbor.partition_bounds('harbor.commands');
        v_name := harbor.partition_name('commands_' || to_char(v_begin, 'YYYYMMDD'), to_char(v_begin, 'HH24MISSUS'));
        PERFORM harbor.add_partition('commands', v_name, 'recorded_at', v_begin::text, v_end::text, 'key, tenant_id');
    END LOOP;

    -- To drop a partition is to lock its parent against everybody, and who waits for that lock makes every append wait
    -- behind him. So the wait is short, and a reader who stays (a dump) costs the drop and nothing else: next time.
    dropped := ARRAY[]::text[];
    PERFORM set_config('lock_timeout', '100ms', true);
    FOR v_old, v_name IN
        SELECT partition, name FROM harbor.partition_bounds('harbor.commands')
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

    SELECT a.events_left, a.commands_left INTO events_left, commands_left FROM harbor.partitions_ahead() AS a;
END
$$;
