-- API keys and their history.

-- The key itself is never stored: `hashed` is HMAC-SHA-256(pepper, key). partner_id NULL is an installation key
-- (dashboard, auditor, operator): it reads across the partners of its mode and can change no order.
CREATE TABLE harbor.api_keys (
    key_id       text        PRIMARY KEY CHECK (key_id ~ '^[0-9A-Za-z]{8}$'),
    partner_id   text        CHECK (partner_id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    livemode     boolean     NOT NULL,
    scopes       text[]      NOT NULL CHECK (cardinality(scopes) > 0),
    hashed       bytea       NOT NULL CHECK (octet_length(hashed) = 32),
    label        text        NOT NULL CHECK (char_length(label) <= 100),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz CHECK (expires_at > created_at),
    revoked_at   timestamptz,
    last_used_at timestamptz,
    -- A rotated key works until then at most; its successors have its expires_at.
    overlap_ends_at timestamptz,
    -- Even a mistake in the services cannot let an installation key write, or one of a partner see all partners.
    CHECK (CASE WHEN partner_id IS NULL
                THEN scopes <@ ARRAY['audit:read', 'dashboard:read', 'events:read', 'keys:manage']
                ELSE NOT scopes && ARRAY['audit:read', 'dashboard:read'] END)
);
-- Pages of keys, newest first: of one partner and mode, and of a whole mode.
CREATE INDEX api_keys_of_partner_newest ON harbor.api_keys (partner_id, livemode, created_at DESC, key_id DESC);
CREATE INDEX api_keys_of_mode_newest ON harbor.api_keys (livemode, created_at DESC, key_id DESC);

-- What happened to each key: one row for each creation, rotation and revocation, written in the same transaction. Rows are
-- never changed or removed. PostgreSQL chooses the number and the time; no service can.
--
-- claim is '<partner>.<mode>/<Idempotency-Key>' ('*' for an installation key) of the request that made a key: a
-- second request under it makes no second key. fingerprint tells a repetition from another request under that claim.
CREATE TABLE harbor.api_key_events (
    event_number bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_id       text        NOT NULL REFERENCES harbor.api_keys,
    type         text        NOT NULL CHECK (type IN ('api_key.created', 'api_key.rotated', 'api_key.revoked')),
    actor_type   text        NOT NULL CHECK (actor_type IN ('api_key', 'cli', 'installation')),
    actor_id     text        NOT NULL CHECK (char_length(actor_id) BETWEEN 1 AND 100),
    request_id   text        NOT NULL CHECK (char_length(request_id) BETWEEN 1 AND 128),
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    details      jsonb       NOT NULL CHECK (pg_column_size(details) <= 4096),
    claim        text        UNIQUE CHECK (char_length(claim) <= 400),
    fingerprint  bytea       CHECK (octet_length(fingerprint) = 32),
    CHECK ((claim IS NULL) = (fingerprint IS NULL))
);
CREATE INDEX api_key_events_by_key ON harbor.api_key_events (key_id, event_number);

-- Whose a key is, what it opens and its expiry never change: a different right is a different key.
GRANT SELECT, INSERT, UPDATE (overlap_ends_at, revoked_at, last_used_at) ON harbor.api_keys TO harbor_command;
GRANT SELECT, UPDATE (last_used_at) ON harbor.api_keys TO harbor_query;
GRANT SELECT, INSERT (key_id, type, actor_type, actor_id, request_id, details, claim, fingerprint)
    ON harbor.api_key_events TO harbor_command;
