-- name: runners
SELECT status, exit_kind, count(*) AS n,
       coalesce(sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens), 0)::bigint AS tokens
FROM runners GROUP BY status, exit_kind

-- name: sessions
SELECT shown.state, count(*) AS n, extract(epoch FROM now() - min(coalesce(away_since, updated_at)))::float8 AS oldest_s
FROM sessions JOIN session_states AS shown ON shown.id = sessions.id GROUP BY shown.state

-- name: activities
SELECT activity, count(*) AS n, extract(epoch FROM now() - min(activity_at))::float8 AS oldest_s
FROM runners WHERE ended_at IS NULL AND status = 'running' AND host NOT IN (SELECT name FROM hosts_away) GROUP BY activity

-- name: budgets
-- Of the sessions' own the fullest of each project: sessions come and go, and would each leave a series behind.
SELECT budget_use.scope, coalesce(projects.name, '') AS project, unit, period,
       max(used / (amount + extra))::float8 AS share
FROM budget_use
LEFT JOIN sessions AS mine ON budget_use.scope = 'session' AND mine.id::text = budget_use.scope_id
LEFT JOIN projects ON projects.id = mine.project_id OR (budget_use.scope = 'project' AND projects.id::text = budget_use.scope_id)
WHERE amount + extra > 0 AND mine.state IS DISTINCT FROM 'ended'
GROUP BY budget_use.scope, projects.name, unit, period

-- name: hosts
-- One that has not been there for a week is no fault any more.
SELECT name, extract(epoch FROM lease_expires_at)::float8 AS lease_expires_at,
       CASE WHEN name IN (SELECT name FROM hosts_away) THEN 'away' WHEN draining THEN 'draining' ELSE 'up' END AS state
FROM hosts WHERE lease_expires_at > now() - interval '7 days'
