-- name: runs
-- Of ended runners of a host: those that are not their session's newest, and all of sessions that ended as long ago.
SELECT runners.id AS runner_id
FROM runners JOIN sessions ON sessions.id = session_id
WHERE runners.id = ANY ($1::text[]) AND runners.host = $2 AND runners.ended_at < now() - $3::interval
  AND (runners.generation < sessions.generation OR sessions.state = 'ended' AND sessions.ended_at < now() - $3::interval)

-- name: deleted_projects
-- Of these, those whose deletion is recorded.
SELECT asked.id::text AS project_id FROM unnest($1::uuid[]) AS asked (id)
WHERE EXISTS (SELECT FROM events WHERE session_id IS NULL AND key = 'deleted/' || asked.id)
  AND NOT EXISTS (SELECT FROM projects WHERE projects.id = asked.id)

-- name: unknown_sessions
SELECT asked.id::text AS session_id FROM unnest($1::uuid[]) AS asked (id)
WHERE NOT EXISTS (SELECT FROM sessions WHERE sessions.id = asked.id)

-- name: delivered
-- Some at a time, so that nobody waits long for their rows; events themselves stay in the record.
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE delivered AND delivered_at < now() - $1::interval ORDER BY delivered_at LIMIT $2
)

-- name: lost_hosts
SELECT name FROM hosts WHERE lease_expires_at < now() - $1::interval
