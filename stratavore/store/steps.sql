-- name: begin
INSERT INTO steps (session_id, step, result) VALUES ($1, $2, '{}') ON CONFLICT DO NOTHING RETURNING step

-- name: find
SELECT result FROM steps WHERE session_id = $1 AND step = $2

-- name: keep
UPDATE steps SET result = $3 WHERE session_id = $1 AND step = $2
