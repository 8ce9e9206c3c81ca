-- What happened to each API key: one row for each creation, rotation and revocation, written in the transaction that did
-- it. Rows are never changed or removed; the number and the time are PostgreSQL's own, no service can choose them.
--
-- claim is '<partner>.<mode>/<Idempotency-Key>' ('*' for a key of the installation) of the request that made a key: a
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

-- Keys made before there was this table begin their history here.
INSERT INTO harbor.api_key_events (key_id, type, actor_type, actor_id, request_id, recorded_at, details)
SELECT key_id, 'api_key.created', 'installation', 'before-events', 'migration-0010', created_at,
    jsonb_build_object('label', label, 'scopes', to_jsonb(scopes), 'expires_at', expires_at)
FROM harbor.api_keys ORDER BY created_at, key_id;
INSERT INTO harbor.api_key_events (key_id, type, actor_type, actor_id, request_id, recorded_at, details)
SELECT key_id, 'api_key.revoked', 'installation', 'before-events', 'migration-0010', revoked_at, '{}'
FROM harbor.api_keys WHERE revoked_at IS NOT NULL ORDER BY revoked_at, key_id;

GRANT SELECT, INSERT (key_id, type, actor_type, actor_id, request_id, details, claim, fingerprint)
    ON harbor.api_key_events TO harbor_command;

-- Pages of keys, newest first: of one partner and mode, and of a whole mode.
CREATE INDEX api_keys_of_partner_newest ON harbor.api_keys (partner_id, livemode, created_at DESC, key_id DESC);
CREATE INDEX api_keys_of_mode_newest ON harbor.api_keys (livemode, created_at DESC, key_id DESC);
