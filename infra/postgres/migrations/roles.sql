-- Roles, schemas and the list of migrations. Runs as the admin before the numbered files, any number of times; the second
-- run changes nothing. Login roles are the installer's business: CREATE ROLE harbor_command_login LOGIN PASSWORD ... IN ROLE harbor_command.
--
--   harbor_owner    owns every table and function; nobody logs in as it
--   harbor_command  the command service: reads, and may call the append function
--   harbor_worker   relay, projection worker, webhook dispatcher
--   harbor_query    the query service: reads
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['harbor_owner', 'harbor_command', 'harbor_worker', 'harbor_query'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- another database of this cluster was being migrated at the same moment
            END;
        END IF;
    END LOOP;
    IF NOT pg_has_role(current_user, 'harbor_owner', 'SET') THEN
        EXECUTE format('GRANT harbor_owner TO %I', current_user);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'harbor') THEN
        CREATE SCHEMA harbor AUTHORIZATION harbor_owner;
        GRANT USAGE ON SCHEMA harbor TO harbor_command, harbor_worker, harbor_query;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'harbor_read') THEN
        CREATE SCHEMA harbor_read AUTHORIZATION harbor_owner;
        GRANT USAGE ON SCHEMA harbor_read TO harbor_worker, harbor_query;
        GRANT CREATE ON SCHEMA harbor_read TO harbor_worker;
    END IF;
END
$$;

SET LOCAL ROLE harbor_owner;

-- Default deny: a new function can be executed by nobody until a migration grants it.
ALTER DEFAULT PRIVILEGES FOR ROLE harbor_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE harbor_owner IN SCHEMA harbor_read GRANT SELECT ON TABLES TO harbor_query;
ALTER DEFAULT PRIVILEGES FOR ROLE harbor_owner IN SCHEMA harbor_read
    GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO harbor_worker;

CREATE TABLE IF NOT EXISTS harbor.migrations (
    number     integer     PRIMARY KEY,
    name       text        NOT NULL,
    sha256     bytea       NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON harbor.migrations TO harbor_command, harbor_worker, harbor_query;

RESET ROLE;

-- A read-model table belongs to whoever created it: workers SET ROLE harbor_worker before they create one, so that the
-- query service may read it. The admin may set these defaults only as a member of the role.
DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'harbor_worker', 'SET') THEN
        EXECUTE format('GRANT harbor_worker TO %I', current_user);
    END IF;
END
$$;
ALTER DEFAULT PRIVILEGES FOR ROLE harbor_worker IN SCHEMA harbor_read GRANT SELECT ON TABLES TO harbor_query;
