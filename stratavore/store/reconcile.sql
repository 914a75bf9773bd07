-- name: sessions
-- Those that have not ended, those that hold a slot, and those that are asked for.
SELECT sessions.id::text AS session_id, project_id::text, projects.name AS project, state, reason, generation, sessions.host, incarnation,
       sessions.updated_at
FROM sessions JOIN projects ON projects.id = project_id
WHERE state <> 'ended' OR sessions.id = ANY ($1::uuid[]) OR sessions.id IN (SELECT session_id FROM admissions)
   OR sessions.id IN (SELECT session_id FROM runners WHERE runners.ended_at IS NULL)

-- name: runners
SELECT id AS runner_id, session_id::text, generation, host, pid IS NOT NULL AS launched, created_at, ended_at
FROM runners WHERE ended_at IS NULL OR id = ANY ($1::text[])

-- name: runner
SELECT id AS runner_id, session_id::text, generation, host, pid IS NOT NULL AS launched, created_at, ended_at
FROM runners WHERE id = $1

-- name: slots
SELECT session_id::text, granted_at FROM admissions

-- name: hosts
SELECT name, renewed_at, lease_expires_at <= now() AS away,
       (SELECT count(*) FROM runners WHERE runners.host = hosts.name AND ended_at IS NULL) AS runners
FROM hosts

-- name: unknown
SELECT runner_id FROM unnest($1::text[]) AS asked (runner_id)
WHERE NOT EXISTS (SELECT FROM runners WHERE runners.id = asked.runner_id)

-- name: session
SELECT sessions.id::text AS session_id, project_id::text, projects.name AS project, state, reason, generation, sessions.host, incarnation,
       sessions.updated_at
FROM sessions JOIN projects ON projects.id = project_id WHERE sessions.id = $1

-- name: proven_over
-- Whether a runner is over for good: its end is recorded, or a later one was placed, or its session has ended with it.
SELECT runners.ended_at IS NOT NULL
       OR runners.id IS NULL AND (sessions.generation > $2 OR sessions.generation = $2 AND sessions.state = 'ended')
FROM sessions LEFT JOIN runners ON runners.session_id = sessions.id AND runners.generation = $2
WHERE sessions.id = $1

-- name: unended
SELECT count(*) FROM runners WHERE session_id = $1 AND ended_at IS NULL

-- name: runs
SELECT EXISTS (SELECT FROM runners JOIN sessions ON sessions.id = session_id AND sessions.generation = runners.generation
               WHERE session_id = $1 AND state = 'running' AND runners.ended_at IS NULL AND started_at IS NOT NULL)

-- name: take_slot
-- Its agent runs, whatever the limit is now: who counts the slots must count it.
INSERT INTO admissions (session_id, project_id, granted_at) VALUES ($1, $2, now())
ON CONFLICT (session_id) DO UPDATE SET granted_at = now() WHERE admissions.granted_at IS NULL
RETURNING session_id
