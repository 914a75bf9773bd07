-- name: views
SELECT * FROM (
    SELECT id::text, type, session_id::text, project, sequence, time, data FROM events
    WHERE ($1::text IS NULL OR project = $1) AND ($2::text IS NULL OR type ~ $2)
    ORDER BY time DESC, sequence DESC LIMIT $3
) AS latest ORDER BY time, sequence

-- name: undelivered
SELECT count(*) FROM outbox WHERE NOT delivered
