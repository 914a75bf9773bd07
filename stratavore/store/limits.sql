-- name: set
INSERT INTO limits (scope, scope_id, name, value, source) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (scope, scope_id, name) DO UPDATE SET value = excluded.value, source = excluded.source, set_at = now()

-- name: begin
INSERT INTO limits (scope, scope_id, name, value) VALUES ('session', $1::uuid::text, $2, $3) ON CONFLICT DO NOTHING

-- name: unset
DELETE FROM limits WHERE scope = $1 AND scope_id = $2 AND name = $3

-- name: source
SELECT source FROM limits WHERE scope = $1 AND scope_id = $2 AND name = $3

-- name: today
SELECT (now() AT TIME ZONE 'UTC')::date

-- name: lock_configured
SELECT pg_advisory_xact_lock(hashtext('stratavore.configured_limits'))

-- name: all_global
SELECT name, value, source FROM limits WHERE scope = 'global'

-- name: blocking
-- What holds a session of the project up; of several limits its project's before the global one, and the slowest first.
SELECT scope, name, used, value FROM limit_use
WHERE (scope = 'global' OR (scope = 'project' AND scope_id = $1)) AND free = 0
ORDER BY scope DESC, name DESC LIMIT 1

-- name: holding
SELECT * FROM session_limit_holding($1)

-- name: views_of_sessions
-- Of sessions that live; one that its tokens hold waits for them.
SELECT 'session' AS scope, projects.name AS project, sessions.id::text AS session_id, names.name, limits.value AS limit, used,
       limits.source, CASE WHEN state = 'limited' AND used >= limits.value THEN 1 ELSE 0 END AS waiting
FROM sessions JOIN projects ON projects.id = project_id
CROSS JOIN unnest($3::text[]) WITH ORDINALITY AS names (name, place)
LEFT JOIN limits ON limits.scope = 'session' AND scope_id = sessions.id::text AND limits.name = names.name
CROSS JOIN LATERAL session_limit_used(names.name, sessions.id) AS used
WHERE CASE WHEN $2::uuid IS NULL THEN limits.value IS NOT NULL AND state <> 'ended' AND ($1::text IS NULL OR projects.name = $1)
           ELSE sessions.id = $2 END
ORDER BY projects.name, sessions.created_at, sessions.id, place

-- name: views
-- All limits of everything; of a project those that are set, and all of the one that is asked for.
SELECT scopes.scope, project, names.name, limits.value AS limit, used, limits.source,
       CASE WHEN used >= limits.value THEN waiting ELSE 0 END AS waiting
FROM (SELECT 'global' AS scope, '' AS scope_id, NULL::uuid AS project_id, NULL::text AS project
      UNION ALL
      SELECT 'project', id::text, id, name FROM projects WHERE $1::text IS NULL OR name = $1) AS scopes
CROSS JOIN unnest($2::text[]) WITH ORDINALITY AS names (name, place)
LEFT JOIN limits USING (scope, scope_id, name)
CROSS JOIN LATERAL limit_used(names.name, scopes.project_id) AS used
CROSS JOIN LATERAL (SELECT count(*) AS waiting FROM admissions
                    WHERE granted_at IS NULL AND (scopes.project_id IS NULL OR project_id = scopes.project_id)) AS line
WHERE scopes.scope = 'global' OR $1 IS NOT NULL OR limits.value IS NOT NULL
ORDER BY scopes.scope, project, place
