-- What a backup has of the database, by its own catalogue: a table that is added later is never forgotten.

-- name: schema
SELECT version_num FROM alembic_version;

-- name: now
SELECT now();

-- name: tables
-- With the columns that can be written, and the tables that must be filled before.
SELECT relname AS name,
       ARRAY(SELECT attname::text FROM pg_attribute
             WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
             ORDER BY attnum) AS columns,
       ARRAY(SELECT DISTINCT other.relname::text FROM pg_constraint JOIN pg_class AS other ON other.oid = confrelid
             WHERE contype = 'f' AND conrelid = pg_class.oid AND confrelid <> conrelid) AS needs
FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
ORDER BY relname;

-- name: sequences
-- Those that were used. They are no part of a snapshot, so each is at least as far as the rows.
SELECT sequencename AS name, last_value FROM pg_sequences
WHERE schemaname = current_schema() AND last_value IS NOT NULL ORDER BY sequencename;

-- name: lock
-- A daemon that uses the database already adds nothing from here on.
LOCK TABLE projects, sessions IN ACCESS EXCLUSIVE MODE;

-- name: in_use
-- Asked of a database whose schema is there.
SELECT (SELECT count(*) FROM projects) AS projects, (SELECT count(*) FROM sessions) AS sessions;

-- name: continue_sequence
SELECT setval(format('%I.%I', current_schema(), $1::text)::regclass, $2::bigint);

-- name: sessions
SELECT id::text FROM sessions;

-- name: hosts
-- Those that sessions which have not ended are on.
SELECT DISTINCT host FROM sessions WHERE state <> 'ended' AND host IS NOT NULL ORDER BY host;

-- name: with_host
-- Tables that say where something is. What was used of a day is counted where it was used.
SELECT table_name FROM information_schema.columns
WHERE table_schema = current_schema() AND column_name = 'host' AND table_name IN ('sessions', 'runners', 'projects');

-- name: has_bound
-- Whether sessions can be bound to a host; not so in the oldest backups.
SELECT EXISTS (SELECT FROM information_schema.columns
               WHERE table_schema = current_schema() AND table_name = 'sessions' AND column_name = 'launch');

-- name: rebind
UPDATE sessions SET launch = launch || jsonb_build_object('host', $2::text) WHERE launch->>'host' = $1;

-- name: forget_host
DELETE FROM hosts WHERE name = $1;

-- name: recover
-- No agent of this host lives: what ran is about to be started again. Of another host its daemon tells.
UPDATE sessions SET state = 'recovering', reason = 'it was restored from a backup', updated_at = now()
WHERE state IN ('starting', 'running') AND host = $1;

-- name: end_leases
-- The daemons that renewed them know nothing of this database.
UPDATE hosts SET lease_expires_at = least(lease_expires_at, now());
