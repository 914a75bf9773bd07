-- name: claim
-- Of all daemons one looks at a time; it looks for all.
SELECT pg_try_advisory_xact_lock(hashtext('stratavore.memory'))

-- name: limited
SELECT EXISTS (SELECT FROM limits WHERE name = 'max_memory_mb')

-- name: forget
-- Limits that are well kept again, or there no more: the next time that they are passed is told anew. A tenth is in between,
-- so that what moves around a limit is not told again and again. Of hosts that are away nobody knows what runs there.
DELETE FROM memory_over
WHERE NOT EXISTS (
    SELECT FROM limits
    WHERE limits.scope = memory_over.scope AND limits.scope_id = memory_over.scope_id AND name = 'max_memory_mb'
      AND (SELECT coalesce(sum(memory_mb), 0) FROM runners JOIN sessions ON sessions.id = session_id
           WHERE runners.ended_at IS NULL AND runners.host NOT IN (SELECT hosts_away.name FROM hosts_away)
             AND (limits.scope = 'global' OR (limits.scope = 'project' AND project_id::text = limits.scope_id)
                  OR (limits.scope = 'session' AND session_id::text = limits.scope_id))) > 0.9 * value)

-- name: measured
-- Limits of which more is used than they let, as runners were measured, and those that were passed before.
SELECT limits.scope, limits.scope_id, min(projects.name) AS project, value, sum(memory_mb) AS used,
       known.scope IS NOT NULL AS told, known.since, now() - known.since AS lasts, known.runner_id,
       EXISTS (SELECT FROM runners AS ending WHERE ending.id = known.runner_id AND ending.ended_at IS NULL) AS is_ending
FROM runners
JOIN sessions ON sessions.id = session_id
JOIN projects ON projects.id = project_id
CROSS JOIN LATERAL (VALUES ('global', ''), ('project', project_id::text), ('session', session_id::text)) AS under (scope, scope_id)
JOIN limits ON limits.scope = under.scope AND limits.scope_id = under.scope_id AND limits.name = 'max_memory_mb'
LEFT JOIN memory_over AS known ON known.scope = limits.scope AND known.scope_id = limits.scope_id
WHERE runners.ended_at IS NULL AND memory_mb IS NOT NULL AND runners.host NOT IN (SELECT hosts_away.name FROM hosts_away)
GROUP BY limits.scope, limits.scope_id, value, known.scope, known.since, known.runner_id
HAVING sum(memory_mb) > value OR known.scope IS NOT NULL
ORDER BY limits.scope DESC, limits.scope_id

-- name: keep
INSERT INTO memory_over (scope, scope_id, since, runner_id) VALUES ($1, $2, CASE WHEN $3 THEN now() END, $4)
ON CONFLICT (scope, scope_id) DO UPDATE SET since = excluded.since, runner_id = excluded.runner_id

-- name: choose
-- The largest; but one that a person looks at is spared if the end of another one is enough.
SELECT runners.id AS runner_id, session_id::text, runners.generation, memory_mb, projects.name AS project
FROM runners
JOIN sessions ON sessions.id = session_id AND sessions.generation = runners.generation
JOIN projects ON projects.id = project_id
WHERE runners.ended_at IS NULL AND memory_mb IS NOT NULL AND sessions.state = 'running'
  AND runners.host NOT IN (SELECT hosts_away.name FROM hosts_away)
  AND ($1 = 'global' OR ($1 = 'project' AND project_id::text = $2) OR ($1 = 'session' AND session_id::text = $2))
ORDER BY (NOT attached AND memory_mb >= $3::float8) DESC, memory_mb DESC, runners.id LIMIT 1

-- name: chosen
SELECT runners.id AS runner_id, session_id::text, runners.generation, coalesce(memory_mb, 0) AS memory_mb, projects.name AS project
FROM runners JOIN sessions ON sessions.id = session_id JOIN projects ON projects.id = project_id
WHERE runners.id = $1

-- name: waited_for
SELECT EXISTS (SELECT FROM admissions WHERE granted_at IS NULL)
