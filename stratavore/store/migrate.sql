-- What a database is, before anything is done to it.

-- name: examine
SELECT current_database() AS database,
       current_user AS role,
       current_setting('server_version_num')::integer / 10000 AS version,
       EXISTS (SELECT FROM pg_extension WHERE extname = $1) AS extension,
       EXISTS (SELECT FROM pg_available_extensions WHERE name = $1) AS available,
       to_regclass('alembic_version') IS NOT NULL AS prepared;

-- name: schema
SELECT version_num FROM alembic_version;

-- name: lock
SELECT pg_advisory_lock($1);
