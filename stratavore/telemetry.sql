-- name: runners
SELECT status, count(*) AS n,
       coalesce(sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens), 0)::bigint AS tokens
FROM runners GROUP BY status

-- name: sessions
SELECT state, count(*) AS n FROM sessions GROUP BY state

-- name: outbox
SELECT (SELECT count(*) FROM outbox WHERE NOT delivered AND NOT dead) AS pending,
       (SELECT count(*) FROM outbox WHERE dead) AS dead
