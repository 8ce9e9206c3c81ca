-- API keys. The key itself is never stored: `hashed` is HMAC-SHA-256(pepper, key). partner_id NULL is a key of the
-- installation (dashboard, auditor, operator): it reads across the partners of its mode and can change no order.
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
    -- Even a mistake in the services cannot let a key of the installation write, or one of a partner see all partners.
    CHECK (CASE WHEN partner_id IS NULL
                THEN scopes <@ ARRAY['audit:read', 'dashboard:read', 'events:read', 'keys:manage']
                ELSE NOT scopes && ARRAY['audit:read', 'dashboard:read'] END)
);
CREATE INDEX api_keys_by_partner ON harbor.api_keys (partner_id, livemode);

-- Who a key belongs to and what opens it can never be changed: a different right is a different key.
GRANT SELECT, INSERT, UPDATE (expires_at, revoked_at, last_used_at) ON harbor.api_keys TO harbor_command;
GRANT SELECT, UPDATE (last_used_at) ON harbor.api_keys TO harbor_query;
