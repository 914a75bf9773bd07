-- name: database
SELECT clock_timestamp() AS at, pg_database_size(current_database()) AS bytes, current_setting('server_version') AS version,
       (SELECT version_num FROM alembic_version) AS schema

-- name: versions
SELECT current_setting('server_version') AS postgres,
       (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS pgvector

-- name: outbox
SELECT (SELECT count(*) FROM outbox WHERE NOT delivered AND NOT dead) AS waiting,
       (SELECT count(*) FROM outbox WHERE dead) AS dead,
       (SELECT extract(epoch FROM clock_timestamp() - min(oldest.time))::float8
        FROM (SELECT events.time FROM outbox JOIN events ON events.id = event_id WHERE NOT delivered AND NOT dead
              ORDER BY outbox.id LIMIT 1) AS oldest) AS oldest_s

-- name: agents
SELECT DISTINCT agent FROM projects ORDER BY agent
