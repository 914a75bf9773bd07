-- name: join
-- Shared, and held as long as the connection: counting its holders counts the relays.
SELECT pg_advisory_lock_shared($1::int, 0)

-- name: relays
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND granted AND classid = $1::int::oid AND objid = 0 AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())

-- name: take
SELECT pg_try_advisory_lock($1::int, $2::int)

-- name: give_back
SELECT pg_advisory_unlock($1::int, partition) FROM unnest($2::int[]) AS given (partition)

-- name: pending
-- For each partition from its index, then the oldest of all: a long backlog is never sorted as a whole.
WITH oldest AS (
    SELECT waiting.id, waiting.event_id
    FROM unnest($1::smallint[]) AS mine (partition)
    CROSS JOIN LATERAL (
        SELECT id, event_id FROM outbox
        WHERE outbox.partition = mine.partition AND NOT delivered AND NOT dead
        ORDER BY id LIMIT $2
    ) AS waiting
    ORDER BY waiting.id LIMIT $2
)
SELECT oldest.id AS outbox_id, events.id::text, session_id::text, sequence, key, type, project, time, data, signature
FROM oldest JOIN events ON events.id = oldest.event_id
ORDER BY oldest.id

-- name: delivered
UPDATE outbox SET delivered = true, delivered_at = now(), attempts = attempts + 1 WHERE id = ANY ($1::bigint[])

-- name: refused
-- Kept, with the broker's reason; an administrator who has mended it sets `dead` to false again.
UPDATE outbox SET dead = true, attempts = attempts + 1, error = reason
FROM unnest($1::bigint[], $2::text[]) AS refused (refused_id, reason)
WHERE id = refused_id
