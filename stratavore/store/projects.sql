-- name: create
INSERT INTO projects (id, name, path, agent, argv, model, permission_mode, directories, mcp_config)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (name) DO NOTHING RETURNING id

-- name: by_name
SELECT id::text AS project_id, name, path, agent, argv, model, permission_mode, directories, mcp_config, created_at
FROM projects WHERE name = $1

-- name: names
SELECT name FROM projects ORDER BY name

-- name: views
SELECT projects.id::text AS project_id, name, path, projects.agent, projects.argv, projects.model,
       projects.permission_mode, projects.directories, projects.mcp_config, projects.created_at,
       count(sessions.id) FILTER (WHERE state <> 'ended') AS live_sessions,
       count(sessions.id) FILTER (WHERE state = 'running') AS running
FROM projects LEFT JOIN sessions ON sessions.project_id = projects.id
GROUP BY projects.id ORDER BY name
