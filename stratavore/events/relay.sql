-- name: give_up_when_frozen
SELECT set_config('idle_session_timeout', $1, false)

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
-- For each partition from its index, then the oldest of all: a long backlog is never sorted as a whole. Lanes ($3) that are to
-- rest are left out; where none is, no event is looked at for that.
WITH oldest AS (
    SELECT waiting.id, waiting.event_id, waiting.attempts
    FROM unnest($1::smallint[]) AS mine (partition)
    CROSS JOIN LATERAL (
        SELECT id, event_id, attempts FROM outbox
        WHERE outbox.partition = mine.partition AND NOT delivered AND NOT dead
          AND (cardinality($3::uuid[]) = 0 OR NOT EXISTS (
              SELECT FROM events WHERE events.id = event_id AND coalesce(session_id, events.id) = ANY ($3)))
        ORDER BY id LIMIT $2
    ) AS waiting
    ORDER BY waiting.id LIMIT $2
)
SELECT oldest.id AS outbox_id, attempts, events.id::text, session_id::text, sequence, key, type, project, time, data, signature
FROM oldest JOIN events ON events.id = oldest.event_id
ORDER BY oldest.id

-- name: delivered
UPDATE outbox SET delivered = true, delivered_at = now(), attempts = attempts + 1, error = NULL WHERE id = ANY ($1::bigint[])

-- name: failed
-- With the broker's reason. What is dead is kept, and sent no more until people say so.
UPDATE outbox SET dead = $3, attempts = attempts + 1, error = reason
FROM unnest($1::bigint[], $2::text[]) AS failed (failed_id, reason)
WHERE id = failed_id
