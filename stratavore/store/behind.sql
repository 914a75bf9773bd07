-- name: end_earlier
-- A later one has been there, which is started only when earlier ones are dead.
UPDATE runners SET status = 'terminated', exit_kind = 'lost', exit_reason = $3, ended_at = now()
WHERE session_id = $1 AND generation < $2 AND ended_at IS NULL

-- name: end_this
UPDATE runners SET status = 'terminated', exit_kind = 'lost', exit_reason = $2, ended_at = now()
WHERE id = $1 AND ended_at IS NULL

-- name: run
INSERT INTO runners (id, session_id, generation, step, host, status, pid, pid_ticks, wrapper_pid, wrapper_ticks, boot_id, started_at)
VALUES ($1, $2, $3, 'reconcile/' || $1, $4, 'running', $5, $6, $7, $8, $9, now())
ON CONFLICT (id) DO UPDATE
    SET status = 'running', pid = excluded.pid, pid_ticks = excluded.pid_ticks, wrapper_pid = excluded.wrapper_pid,
        wrapper_ticks = excluded.wrapper_ticks, boot_id = excluded.boot_id, started_at = coalesce(runners.started_at, now())
    WHERE runners.ended_at IS NULL

-- name: show
-- Generations only grow.
UPDATE sessions
SET generation = greatest(generation, $2), host = $3, state = $4, reason = NULL, updated_at = now(),
    ended_at = CASE WHEN $4 = 'ended' THEN coalesce(ended_at, now()) END
WHERE id = $1

-- name: count_on
-- The record of events outlives the row of its session: what comes is counted on from there.
UPDATE sessions SET last_sequence = coalesce((SELECT max(sequence) FROM events WHERE session_id = $1), 0) WHERE id = $1

-- name: project
-- A project that is newer than the backup, as far as its sessions tell of it.
INSERT INTO projects (id, name, path, agent, argv, directories, mcp_config) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING

-- name: has_project
SELECT EXISTS (SELECT FROM projects WHERE id = $1 AND name = $2)
