-- name: open
-- A new session, an ended one that a new workflow takes up again, or one that rested. The same workflow asking again
-- changes nothing.
INSERT INTO sessions (id, project_id, agent, model, agent_session_id, argv, cwd, state, incarnation, launch, failover)
VALUES ($1::uuid, $2, $3, $4, $1::uuid::text, $5, $6, 'queued', $7, $8, $9)
ON CONFLICT (id) DO UPDATE
    SET state = CASE WHEN sessions.state IN ('ended', 'paused', 'parked', 'limited', 'asking') THEN 'queued' ELSE sessions.state END,
        reason = NULL, ended_at = NULL, incarnation = excluded.incarnation, updated_at = now()
    WHERE sessions.incarnation <> excluded.incarnation OR sessions.state IN ('paused', 'parked', 'limited', 'asking')
RETURNING xmax = 0 AS new

-- name: lock
-- Not FOR UPDATE: rows that refer to the session may still be written beside it.
SELECT id FROM sessions WHERE id = $1 FOR NO KEY UPDATE

-- name: set_state
UPDATE sessions
SET state = $2, reason = $3, updated_at = now(), ended_at = CASE WHEN $2 = 'ended' THEN coalesce(ended_at, now()) END
WHERE id = $1

-- name: run
-- Fenced: only the current generation may say that it runs.
UPDATE sessions SET state = 'running', reason = NULL, updated_at = now() WHERE id = $1 AND generation = $2 RETURNING id

-- name: views
WITH line AS (
    SELECT session_id, row_number() OVER (ORDER BY ticket) AS position FROM admissions WHERE granted_at IS NULL
), full_globally AS MATERIALIZED (                           -- both are asked only for those who are in line
    SELECT scope, name, used, value FROM limit_use WHERE scope = 'global' AND free = 0 ORDER BY name DESC LIMIT 1
), full_in_project AS MATERIALIZED (
    SELECT DISTINCT ON (scope_id) scope_id, scope, name, used, value FROM limit_use
    WHERE scope = 'project' AND free = 0 ORDER BY scope_id, name DESC
), spent AS (
    SELECT session_id, sum(cost_usd)::float8 AS cost_usd, sum(unpriced_tokens)::bigint AS unpriced_tokens,
           sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens)::bigint AS tokens_used
    FROM runners WHERE $1::uuid[] IS NULL OR session_id = ANY ($1::uuid[]) GROUP BY session_id
)
SELECT sessions.id::text AS session_id, agent_session_id, projects.name AS project, sessions.agent, shown.state,
       CASE WHEN shown.state = 'running' THEN coalesce(runners.activity, 'unknown')
            WHEN shown.state = 'unreachable' THEN 'unknown'
            WHEN shown.state IN ('starting', 'recovering') THEN 'starting' ELSE 'idle' END AS activity,
       CASE WHEN shown.state = 'queued' THEN line.position END AS position,
       sessions.generation, sessions.created_at, sessions.ended_at,
       coalesce(spent.tokens_used, 0) AS tokens_used, spent.cost_usd,
       coalesce(spent.unpriced_tokens, 0) AS unpriced_tokens,
       coalesce('the host ' || shown.away_host || ' has not been heard of since '
                || to_char(shown.away_since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')
                || CASE WHEN sessions.failover = 'auto' THEN '; it goes on on another one that can take it' ELSE '' END,
                sessions.reason, 'its prompt was not typed: ' || unprompted.why) AS reason, held_up.by AS held_up,
       CASE shown.state WHEN 'unreachable' THEN shown.away_since
                        WHEN 'recovering' THEN coalesce(lost.at, sessions.updated_at) END AS since,
       sessions.host, sessions.launch->>'host' AS bound_to,
       CASE WHEN shown.state = 'running' AND runners.activity = 'waiting' THEN runners.question END AS question,
       runners.id AS runner_id, sessions.argv,
       coalesce((sessions.launch->>'headless')::boolean, false) AS headless, sessions.failover
FROM sessions
JOIN session_states AS shown ON shown.id = sessions.id
JOIN projects ON projects.id = sessions.project_id
LEFT JOIN line ON line.session_id = sessions.id
LEFT JOIN spent ON spent.session_id = sessions.id
LEFT JOIN runners ON runners.session_id = sessions.id AND runners.generation = sessions.generation
LEFT JOIN LATERAL (                                          -- when its last runner ended, or it took its slot since; of a
    SELECT greatest(max(ended.ended_at), max(granted_at)) AS at   -- restored one nobody knows
    FROM runners AS ended LEFT JOIN admissions ON admissions.session_id = ended.session_id
    WHERE ended.session_id = sessions.id
) AS lost ON shown.state = 'recovering' AND (runners.ended_at IS NOT NULL OR runners.started_at IS NULL)
LEFT JOIN LATERAL (
    SELECT detail AS why FROM requests
    WHERE session_id = sessions.id AND kind = 'prompt' AND state = 'refused' AND sessions.state = 'running'
    ORDER BY at DESC LIMIT 1
) AS unprompted ON true
LEFT JOIN LATERAL (
    SELECT (SELECT coalesce((SELECT to_jsonb(full_in_project) - 'scope_id' FROM full_in_project
                             WHERE scope_id = sessions.project_id::text),
                            (SELECT to_jsonb(full_globally) FROM full_globally))) AS by
) AS held_up ON sessions.state = 'queued' AND line.position IS NOT NULL
WHERE ($1::uuid[] IS NULL OR sessions.id = ANY ($1::uuid[]))
  AND ($2::text IS NULL OR projects.name = $2)
  AND ($3 OR sessions.state <> 'ended')
ORDER BY sessions.created_at, sessions.id

-- name: explain
-- Why it does not run yet; what runs has begun after all.
UPDATE sessions SET reason = $3, updated_at = now()
WHERE id = $1 AND generation = $2 AND state IN ('starting', 'recovering')

-- name: explain_waiting
-- Why it waits though it holds a slot.
UPDATE sessions SET reason = $2, updated_at = now()
WHERE id = $1 AND state IN ('queued', 'starting', 'recovering') AND reason IS DISTINCT FROM $2

-- name: launched_with
-- Of a session older than the column, what was kept then.
SELECT launch || jsonb_build_object('agent', agent, 'argv', argv, 'cwd', cwd, 'model', model) FROM sessions WHERE id = $1

-- name: follow
-- Fenced: a runner of the past has nothing to say of where the conversation is.
UPDATE sessions SET agent_session_id = $2, updated_at = now()
FROM runners WHERE runners.id = $1 AND sessions.id = runners.session_id AND sessions.generation = runners.generation

-- name: agent_session_id
SELECT agent_session_id FROM sessions WHERE id = $1

-- name: standing
SELECT state, generation FROM session_states WHERE id = $1

-- name: matching
-- A range of ids is read from the index, whatever the number of sessions.
SELECT id::text AS session_id FROM sessions WHERE id BETWEEN $1 AND $2 ORDER BY created_at DESC LIMIT 6

-- name: live_names
SELECT sessions.id::text AS session_id, projects.name AS project, shown.state
FROM sessions JOIN session_states AS shown ON shown.id = sessions.id JOIN projects ON projects.id = project_id
WHERE sessions.state <> 'ended' ORDER BY sessions.created_at DESC LIMIT $1
