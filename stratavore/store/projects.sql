-- name: create
INSERT INTO projects (id, name, path, agent, argv, model, permission_mode, directories, mcp_config, host, failover)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, coalesce($11, 'wait'))
ON CONFLICT (name) DO NOTHING RETURNING id

-- name: by_name
SELECT id::text AS project_id, name, path, agent, argv, model, permission_mode, directories, mcp_config, host, failover,
       created_at
FROM projects WHERE name = $1

-- name: names
SELECT name FROM projects ORDER BY name

-- name: views
SELECT projects.id::text AS project_id, name, path, projects.agent, projects.argv, projects.model,
       projects.permission_mode, projects.directories, projects.mcp_config, projects.host, projects.failover,
       projects.created_at,
       count(sessions.id) FILTER (WHERE shown.state <> 'ended') AS live_sessions,
       count(sessions.id) FILTER (WHERE shown.state = 'running') AS running
FROM projects
LEFT JOIN sessions ON sessions.project_id = projects.id
LEFT JOIN session_states AS shown ON shown.id = sessions.id
GROUP BY projects.id ORDER BY name

-- name: details
SELECT projects.id::text AS project_id, name, path, projects.agent, projects.argv, projects.model,
       projects.permission_mode, projects.directories, projects.mcp_config, projects.host, projects.failover,
       projects.created_at,
       coalesce(counted.live, 0) AS live_sessions, coalesce(counted.running, 0) AS running,
       coalesce(counted.by_state, '{}') AS sessions,
       coalesce(spent.tokens_used, 0) AS tokens_used, spent.cost_usd, coalesce(spent.unpriced_tokens, 0) AS unpriced_tokens
FROM projects
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(state, n) AS by_state, sum(n) FILTER (WHERE state <> 'ended')::integer AS live,
           sum(n) FILTER (WHERE state = 'running')::integer AS running
    FROM (SELECT shown.state, count(*) AS n FROM sessions JOIN session_states AS shown ON shown.id = sessions.id
          WHERE project_id = projects.id GROUP BY shown.state) AS states
) AS counted ON true
LEFT JOIN LATERAL (
    SELECT sum(cost_usd)::float8 AS cost_usd, sum(unpriced_tokens)::bigint AS unpriced_tokens,
           sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens)::bigint AS tokens_used
    FROM runners WHERE session_id IN (SELECT id FROM sessions WHERE project_id = projects.id)
) AS spent ON true
WHERE name = $1

-- name: lock_sessions
SELECT id FROM sessions WHERE project_id = $1 ORDER BY id FOR UPDATE

-- name: lock
SELECT id FROM projects WHERE id = $1 FOR UPDATE

-- name: files
-- Of whom a host keeps files.
SELECT sessions.id::text AS session_id, runners.id AS runner_id
FROM sessions LEFT JOIN runners ON session_id = sessions.id AND runners.host = $2
WHERE project_id = $1

-- name: delete
-- With all that was done in it; the record of events stays. Foreign keys are checked when the whole statement is done.
WITH theirs AS (
    SELECT id FROM sessions WHERE project_id = $1
), their_transcripts AS (
    SELECT id FROM transcripts WHERE session_id IN (SELECT id FROM theirs)
), deleted_transcript_chunks AS (
    DELETE FROM transcript_chunks WHERE transcript_id IN (SELECT id FROM their_transcripts)
), deleted_transcripts AS (
    DELETE FROM transcripts WHERE session_id IN (SELECT id FROM theirs)
), deleted_messages AS (
    DELETE FROM messages WHERE session_id IN (SELECT id FROM theirs)
), deleted_usage AS (
    DELETE FROM usage WHERE session_id IN (SELECT id FROM theirs)
), deleted_requests AS (
    DELETE FROM requests WHERE session_id IN (SELECT id FROM theirs)
), deleted_admissions AS (
    DELETE FROM admissions WHERE project_id = $1
), deleted_runners AS (
    DELETE FROM runners WHERE session_id IN (SELECT id FROM theirs)
), deleted_steps AS (
    DELETE FROM steps WHERE session_id IN (SELECT id FROM theirs)
), deleted_limits AS (
    DELETE FROM limits
    WHERE (scope = 'project' AND scope_id = $1::uuid::text)
       OR (scope = 'session' AND scope_id IN (SELECT id::text FROM theirs))
), deleted_account_passes AS (
    DELETE FROM account_passes WHERE session_id IN (SELECT id FROM theirs)
), deleted_budget_passes AS (
    DELETE FROM budget_passes WHERE session_id IN (SELECT id FROM theirs)
), deleted_budgets AS (
    DELETE FROM budgets
    WHERE (scope = 'project' AND scope_id = $1::uuid::text)
       OR (scope = 'session' AND scope_id IN (SELECT id::text FROM theirs))
), deleted_sessions AS (
    DELETE FROM sessions WHERE project_id = $1
)
DELETE FROM projects WHERE id = $1

-- name: resources
SELECT projects.name AS project, count(*) AS runners,
       coalesce(sum(memory_mb), 0) AS memory_mb, coalesce(sum(cpu_percent), 0) AS cpu_percent
FROM runners JOIN sessions ON sessions.id = session_id JOIN projects ON projects.id = project_id
WHERE runners.ended_at IS NULL
GROUP BY projects.name ORDER BY memory_mb DESC, projects.name
