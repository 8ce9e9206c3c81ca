-- Webhooks: endpoints (configured by partners), the delivery queue, and every attempt. The queue is durable state: it is
-- migrated like the log and never rebuilt (decision 0080).

CREATE TABLE harbor.webhook_endpoints (
    endpoint_id         uuid        PRIMARY KEY,
    tenant_id           text        COLLATE "C" NOT NULL,
    livemode            boolean     NOT NULL,
    url                 text        NOT NULL CHECK (length(url) <= 2100),
    description         text        NOT NULL DEFAULT '' CHECK (length(description) <= 500),
    event_types         text[]      NOT NULL CHECK (cardinality(event_types) BETWEEN 1 AND 32),
    payload             text        NOT NULL CHECK (payload IN ('snapshot', 'thin')),
    -- AES-GCM, bound to the endpoint's id; erased when the endpoint is deleted.
    sealed_secret       bytea,
    status              text        NOT NULL DEFAULT 'enabled'
                        CHECK (status IN ('enabled', 'disabled', 'misconfigured', 'deleted')),
    status_reason       text,
    status_changed_at   timestamptz NOT NULL DEFAULT now(),
    -- Only events after this position fan out to the endpoint.
    registered_position bigint      NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT now(),
    CHECK (status = 'deleted' OR sealed_secret IS NOT NULL)
);
CREATE INDEX webhook_endpoints_by_tenant ON harbor.webhook_endpoints (tenant_id, endpoint_id) WHERE status <> 'deleted';

-- The exact bytes that are signed and sent, rendered once per event and kind of payload (decision 0081). Every attempt and resend
-- reads them.
CREATE TABLE harbor.webhook_bodies (
    event_id   uuid        NOT NULL,
    payload    text        NOT NULL,
    body       bytea       NOT NULL CHECK (octet_length(body) <= 65536),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, payload)
);

-- One row per (endpoint, event). No foreign key to the endpoint: endpoints are never removed, only marked, and the key
-- would lock a hot endpoint's row in every fan-out.
--   pending   due at next_attempt_at
--   leased    a dispatcher holds it until next_attempt_at; after that it is due again
--   delivered a 2xx was received
--   dead      given up (exhausted, gone, blocked); visible, can be resent
--   discarded its endpoint was deleted first
CREATE TABLE harbor.webhook_deliveries (
    delivery_id      uuid        PRIMARY KEY,
    endpoint_id      uuid        NOT NULL,
    event_id         uuid        NOT NULL,
    tenant_id        text        COLLATE "C" NOT NULL,
    order_id         uuid        NOT NULL,
    event_type       text        NOT NULL,
    sequence         integer     NOT NULL,
    position         bigint      NOT NULL,
    payload          text        NOT NULL,
    traceparent      text,
    recorded_at      timestamptz NOT NULL,
    state            text        NOT NULL DEFAULT 'pending'
                     CHECK (state IN ('pending', 'leased', 'delivered', 'dead', 'discarded')),
    -- attempt_count counts all attempts; round_attempts is the place in the schedule, which a resend starts again at 0.
    attempt_count    integer     NOT NULL DEFAULT 0,
    round_attempts   integer     NOT NULL DEFAULT 0,
    next_attempt_at  timestamptz NOT NULL DEFAULT now(),
    lease_id         uuid,
    last_outcome     text,
    last_status      smallint,
    first_attempt_at timestamptz,
    last_attempt_at  timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (endpoint_id, event_id)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
CREATE INDEX webhook_deliveries_due ON harbor.webhook_deliveries (endpoint_id, next_attempt_at, position)
    WHERE state IN ('pending', 'leased');
-- The oldest undelivered one of each endpoint, for the view from outside.
CREATE INDEX webhook_deliveries_undelivered ON harbor.webhook_deliveries (endpoint_id, position)
    WHERE state IN ('pending', 'leased');
CREATE INDEX webhook_deliveries_dead ON harbor.webhook_deliveries (tenant_id, delivery_id) WHERE state = 'dead';
CREATE INDEX webhook_deliveries_by_tenant ON harbor.webhook_deliveries (tenant_id, delivery_id);

-- When a dispatcher last looked for due deliveries, whichever it was: an endpoint that fails waits for long by itself, so the
-- queue cannot show that nobody works on it.
CREATE TABLE harbor.webhook_dispatch (
    only_row     boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    last_turn_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Endpoints whose secret it could not open: their deliveries wait.
    unreadable_secrets integer NOT NULL DEFAULT 0 CHECK (unreadable_secrets >= 0)
) WITH (fillfactor = 25);
INSERT INTO harbor.webhook_dispatch DEFAULT VALUES;

-- Every POST. `response_body` holds at most the first 4 KiB of the response.
CREATE TABLE harbor.webhook_attempts (
    attempt_id    uuid        PRIMARY KEY,
    delivery_id   uuid        NOT NULL,
    attempt       integer     NOT NULL,
    started_at    timestamptz NOT NULL,
    latency_ms    integer     NOT NULL,
    outcome       text        NOT NULL,
    status        smallint,
    response_body bytea       NOT NULL DEFAULT '' CHECK (octet_length(response_body) <= 4096)
);
CREATE INDEX webhook_attempts_by_delivery ON harbor.webhook_attempts (delivery_id, attempt_id);

-- Return the events of some orders, each up to a version, for rendering bodies. Indexes only, whatever the statistics say:
-- a plan cached while the log was empty would scan it forever.
CREATE FUNCTION harbor.webhook_order_events(p_tenants text[], p_streams uuid[], p_upto integer[])
RETURNS TABLE (stream_id uuid, version integer, type text, schema_version integer, payload bytea)
LANGUAGE sql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
    SELECT e.stream_id, e.version::integer, e.type, e.schema_version::integer, e.payload
    FROM unnest(p_tenants, p_streams, p_upto) AS wanted(tenant_id, stream_id, upto)
    JOIN harbor.streams s ON s.stream_id = wanted.stream_id AND s.tenant_id = wanted.tenant_id
    -- The positions add no condition; they let the planner leave out partitions.
    JOIN harbor.events e ON e.stream_id = s.stream_id AND e.tenant_id = s.tenant_id AND e.version <= wanted.upto
        AND e.position BETWEEN s.first_position AND s.last_position
    ORDER BY e.stream_id, e.version
$$;

-- Send one delivery again: the one thing the command service may do to the queue. Repeating it changes nothing more.
CREATE FUNCTION harbor.webhook_resend(p_tenant text, p_delivery uuid)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_state  text;
    v_status text;
BEGIN
    SELECT d.state, e.status INTO v_state, v_status
    FROM harbor.webhook_deliveries d JOIN harbor.webhook_endpoints e USING (endpoint_id)
    WHERE d.delivery_id = p_delivery AND d.tenant_id = p_tenant AND e.tenant_id = p_tenant
    FOR UPDATE OF d;
    IF NOT FOUND OR v_status = 'deleted' THEN
        RETURN 'not_found';
    ELSIF v_status <> 'enabled' THEN
        RETURN 'endpoint_not_enabled';
    ELSIF v_state = 'leased' THEN
        RETURN 'queued'; -- an attempt is under way
    END IF;
    UPDATE harbor.webhook_deliveries
    SET state = 'pending', round_attempts = 0, next_attempt_at = now(), lease_id = NULL
    WHERE delivery_id = p_delivery;
    PERFORM pg_notify('harbor_deliveries', '');
    RETURN 'queued';
END
$$;

GRANT SELECT, INSERT ON harbor.webhook_endpoints TO harbor_command;
GRANT UPDATE (status, status_reason, status_changed_at, sealed_secret) ON harbor.webhook_endpoints TO harbor_command;
GRANT EXECUTE ON FUNCTION harbor.webhook_resend(text, uuid) TO harbor_command;

GRANT SELECT ON harbor.webhook_endpoints TO harbor_worker;
GRANT UPDATE (status, status_reason, status_changed_at) ON harbor.webhook_endpoints TO harbor_worker;
GRANT SELECT, INSERT, UPDATE ON harbor.webhook_deliveries TO harbor_worker;
GRANT SELECT, UPDATE (last_turn_at, unreadable_secrets) ON harbor.webhook_dispatch TO harbor_worker;
GRANT SELECT, INSERT ON harbor.webhook_bodies, harbor.webhook_attempts TO harbor_worker;
GRANT EXECUTE ON FUNCTION harbor.webhook_order_events(text[], uuid[], integer[]) TO harbor_worker;

-- Neither the sealed secrets nor the bodies: the query service has no use for them.
GRANT SELECT (endpoint_id, tenant_id, livemode, url, description, event_types, payload, status, status_reason,
    status_changed_at, registered_position, created_at) ON harbor.webhook_endpoints TO harbor_query;
GRANT SELECT ON harbor.webhook_deliveries, harbor.webhook_attempts, harbor.webhook_dispatch TO harbor_query;
