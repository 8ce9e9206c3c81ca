-- Partitions: what is reported is what exists, and what cannot be dropped now no longer stops what must be made (ADR 0025).

-- Replaces the function of 0001. New: a table of this name that is no partition (detached by hand, for an archive or by
-- mistake) is attached again, where it was taken for one before. All of it is one transaction: a crash leaves nothing.
CREATE OR REPLACE FUNCTION harbor.add_partition(
    p_parent text, p_name text, p_column text, p_from text, p_to text, p_unique text
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_table regclass := to_regclass(format('harbor.%I', p_name));
BEGIN
    IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = v_table) THEN
        RETURN;
    END IF;
    IF v_table IS NULL THEN
        EXECUTE format('CREATE TABLE harbor.%I (LIKE harbor.%I INCLUDING ALL)', p_name, p_parent);
        IF p_parent = 'commands' THEN
            PERFORM harbor.shape_answers(to_regclass(format('harbor.%I', p_name)));
        ELSE
            EXECUTE format('CREATE UNIQUE INDEX ON harbor.%I (%s)', p_name, p_unique);
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

-- Gives a partition of answers its shape.
--
-- * Keys are looked up by a hash of eight bytes. Clients' keys are random, so each answer touches its own page of that
--   index: with the keys themselves in it (60 bytes each) a week of them outgrew the memory, and appends fell to 0.65 of
--   their rate at 20 million events (ADR 0026). Keys are unique because the append looks them up under the log's lock, as
--   they always were over several partitions; a hash is not unique, so the index is not.
-- * Answers live for a week, so the time it takes to compress them is not worth the space: those above 2 kB stay as they
--   are up to a page. Payloads live for ever and are compressed as before.
CREATE FUNCTION harbor.shape_answers(p_table regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_unique regclass;
BEGIN
    EXECUTE format('CREATE INDEX ON %s (hashtextextended(key, 0))', p_table);
    EXECUTE format('ALTER TABLE %s SET (toast_tuple_target = 8160)', p_table);
    FOR v_unique IN SELECT indexrelid FROM pg_index WHERE indrelid = p_table AND indisunique LOOP
        EXECUTE format('DROP INDEX %s', v_unique);
    END LOOP;
END
$$;
SELECT harbor.shape_answers(inhrelid::regclass) FROM pg_inherits WHERE inhparent = 'harbor.commands'::regclass;

-- Processes of the version before call harbor.append for some time yet: its look-ups follow the keys to their new index.
DO $$
BEGIN
    EXECUTE replace(
        pg_get_functiondef('harbor.append'::regproc),
        'k.key = c.key AND', 'hashtextextended(k.key, 0) = hashtextextended(c.key, 0) AND k.key = c.key AND');
END
$$;

-- The last position of the log that is furthest. One index look-up per log: max(last_position) over all of them would read
-- the whole ledger.
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

-- How far the log and the answers may go before a partition is missing, by the partitions that are attached. Changes
-- nothing, so that the alarm also works where partitions cannot be made.
CREATE FUNCTION harbor.partitions_ahead(OUT events_left bigint, OUT commands_left interval)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    c_bounds CONSTANT text := $re$FROM \('(.+?)'\) TO \('(.+?)'\)$re$;
    v_head   CONSTANT bigint := harbor.furthest_position();
    v_now    CONSTANT timestamptz := clock_timestamp();
    v_upto   bigint := v_head + 1;
    v_until  timestamptz := v_now;
    v_from   text;
    v_to     text;
BEGIN
    FOR v_from, v_to IN
        SELECT bounds[1], bounds[2]
        FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        CROSS JOIN LATERAL regexp_match(pg_get_expr(relpartbound, pg_class.oid), c_bounds) AS bounds
        WHERE inhparent = 'harbor.events'::regclass ORDER BY bounds[1]::bigint
    LOOP
        IF v_from::bigint <= v_upto AND v_upto < v_to::bigint THEN
            v_upto := v_to::bigint;
        END IF;
    END LOOP;
    FOR v_from, v_to IN
        SELECT bounds[1], bounds[2]
        FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        CROSS JOIN LATERAL regexp_match(pg_get_expr(relpartbound, pg_class.oid), c_bounds) AS bounds
        WHERE inhparent = 'harbor.commands'::regclass ORDER BY bounds[1]::timestamptz
    LOOP
        IF v_from::timestamptz <= v_until AND v_until < v_to::timestamptz THEN
            v_until := v_to::timestamptz;
        END IF;
    END LOOP;
    events_left := v_upto - 1 - v_head;
    commands_left := v_until - v_now;
END
$$;

-- Replaces the function of 0001. Makes the partitions of the next two steps of both tables exist and drops partitions of
-- commands that are older than 7 days. Safe to call at any time, from anywhere.
CREATE OR REPLACE FUNCTION harbor.maintain_partitions(
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
    v_head := harbor.furthest_position();
    FOR step IN 0..2 LOOP
        v_first := (v_head / c_events + step) * c_events;
        PERFORM harbor.add_partition('events', 'events_' || lpad((v_first / c_events)::text, 6, '0'), 'position',
            v_first::text, (v_first + c_events)::text, 'stream_id, tenant_id, version');
        v_week := v_monday + step * interval '7 days';
        PERFORM harbor.add_partition('commands', 'commands_' || to_char(v_week, 'YYYYMMDD'), 'recorded_at',
            v_week::text, (v_week + interval '7 days')::text, 'key, tenant_id');
    END LOOP;

    -- To drop a partition is to lock its parent against everybody, and who waits for that lock makes every append wait
    -- behind him. So the wait is short, and a reader who stays (a dump) costs the drop and nothing else: next time.
    dropped := ARRAY[]::text[];
    PERFORM set_config('lock_timeout', '100ms', true);
    BEGIN
        FOR v_old IN
            SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
            WHERE inhparent = 'harbor.commands'::regclass
              AND to_date(right(relname, 8), 'YYYYMMDD') + 14 <= current_date
            ORDER BY relname
        LOOP
            EXECUTE format('DROP TABLE harbor.%I', v_old);
            dropped := dropped || v_old;
        END LOOP;
    EXCEPTION WHEN lock_not_available THEN
        dropped := ARRAY[]::text[];
    END;

    SELECT a.events_left, a.commands_left INTO events_left, commands_left FROM harbor.partitions_ahead() AS a;
END
$$;

GRANT EXECUTE ON FUNCTION harbor.partitions_ahead() TO harbor_command;
