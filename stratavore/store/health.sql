-- name: database
SELECT clock_timestamp() AS at, pg_database_size(current_database()) AS bytes, current_setting('server_version') AS version,
       (SELECT version_num FROM alembic_version) AS schema

-- name: versions
SELECT current_setting('server_version') AS postgres,
       (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS pgvector

-- name: outbox
-- Asked for every few seconds, so each part has an index: most of the outbox was delivered.
WITH pending AS (
    SELECT count(*) AS waiting, min(id) AS oldest FROM outbox WHERE NOT delivered AND NOT dead
)
SELECT waiting, (SELECT count(*) FROM outbox WHERE dead) AS dead,
       (SELECT extract(epoch FROM clock_timestamp() - events.time)::float8
        FROM outbox JOIN events ON events.id = event_id WHERE outbox.id = pending.oldest) AS oldest_s
FROM pending

-- name: agents
SELECT DISTINCT agent FROM projects ORDER BY agent
