-- A round trip through the database, with the rights that the daemon needs. The writing is rolled back.

-- name: write
INSERT INTO projects (id, name, path, agent) VALUES ($1, $2, '/', 'command');

-- name: change
UPDATE projects SET path = '/tmp' WHERE id = $1 RETURNING path;

-- name: remove
DELETE FROM projects WHERE id = $1;

-- name: refused
-- Tables that this role may not use as the daemon has to.
SELECT coalesce(array_agg(tablename::text ORDER BY tablename), '{}')
FROM pg_tables
WHERE schemaname = (SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = 'projects'::regclass)
  AND tablename <> 'alembic_version'
  AND NOT (has_table_privilege(format('%I.%I', schemaname, tablename), 'SELECT')
           AND has_table_privilege(format('%I.%I', schemaname, tablename), 'INSERT')
           AND has_table_privilege(format('%I.%I', schemaname, tablename), 'UPDATE')
           AND has_table_privilege(format('%I.%I', schemaname, tablename), 'DELETE'));

-- name: notify
SELECT pg_notify($1, '');

-- name: encryption
-- As the server sees this connection: TLS by its version, or null.
SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl;
