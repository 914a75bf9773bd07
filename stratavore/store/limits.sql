-- name: set
INSERT INTO limits (scope, scope_id, name, value) VALUES ($1, $2, $3, $4)
ON CONFLICT (scope, scope_id, name) DO UPDATE SET value = excluded.value, set_at = now()

-- name: unset
DELETE FROM limits WHERE scope = $1 AND scope_id = $2 AND name = $3

-- name: views
-- The global limit and one row for each project (or the one asked for), whether a limit is set or not.
SELECT 'global' AS scope, NULL AS project, 'max_concurrent_runners' AS name,
       (SELECT value FROM limits WHERE scope = 'global' AND name = 'max_concurrent_runners') AS limit,
       count(*) FILTER (WHERE granted_at IS NOT NULL) AS used, count(*) FILTER (WHERE granted_at IS NULL) AS waiting
FROM admissions
UNION ALL
(SELECT 'project', projects.name, 'max_concurrent_runners', limits.value,
        count(session_id) FILTER (WHERE granted_at IS NOT NULL), count(session_id) FILTER (WHERE session_id IS NOT NULL AND granted_at IS NULL)
 FROM projects
 LEFT JOIN admissions ON admissions.project_id = projects.id
 LEFT JOIN limits ON limits.scope = 'project' AND scope_id = projects.id::text AND limits.name = 'max_concurrent_runners'
 WHERE $1::text IS NULL OR projects.name = $1
 GROUP BY projects.name, limits.value ORDER BY projects.name)
