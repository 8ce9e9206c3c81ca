-- What applications of the `eventsourcing` library keep beside the log when they use infra/eventsourcing_module (decision 0029).
-- Their events live in harbor.events like all others and go through harbor.append_batch.

-- How far a consumer of the library has come. It moves in the transaction that writes what the consumer derived.
CREATE TABLE harbor.eventsourcing_tracking (
    tenant_id   text   COLLATE "C" NOT NULL, -- '': the consumer reads all tenants
    consumer    text   COLLATE "C" NOT NULL, -- the projection's or application's name
    application text   COLLATE "C" NOT NULL, -- the name the consumer gives to what it reads
    position    bigint NOT NULL,
    PRIMARY KEY (tenant_id, consumer, application)
) WITH (fillfactor = 50); -- one hot row per consumer

-- Snapshots of aggregates: derived, may be deleted at any time.
CREATE TABLE harbor.eventsourcing_snapshots (
    stream_id uuid    NOT NULL,
    tenant_id text    COLLATE "C" NOT NULL,
    version   integer NOT NULL,
    topic     text    COLLATE "C" NOT NULL,
    state     bytea   NOT NULL,
    PRIMARY KEY (stream_id, tenant_id, version)
);

REVOKE ALL ON harbor.eventsourcing_tracking, harbor.eventsourcing_snapshots FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON harbor.eventsourcing_tracking TO harbor_command, harbor_worker;
GRANT SELECT, INSERT ON harbor.eventsourcing_snapshots TO harbor_command;
