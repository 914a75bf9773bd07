-- name: begin
INSERT INTO requests (id, session_id, kind, state, detail) VALUES ($1, $2, $3, 'doing', $4)
ON CONFLICT (id) DO UPDATE SET detail = excluded.detail, at = now() WHERE requests.state = 'doing' AND requests.detail = $5
RETURNING id

-- name: finish
INSERT INTO requests (id, session_id, kind, state, detail) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, detail = excluded.detail, at = now() WHERE requests.state = 'doing'

-- name: outcome
SELECT state, detail FROM requests WHERE id = $1
