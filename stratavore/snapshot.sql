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

-- name: hosts
-- One that has not been there for a week is no fault any more.
SELECT name, extract(epoch FROM lease_expires_at)::float8 AS lease_expires_at,
       CASE WHEN name IN (SELECT name FROM hosts_away) THEN 'away' WHEN draining THEN 'draining' ELSE 'up' END AS state
FROM hosts WHERE lease_expires_at > now() - interval '7 days'
