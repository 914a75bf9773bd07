-- name: views
-- A pattern is compared with "." and the routing key, whose last word is written as topic_word() of envelope.py does.
SELECT * FROM (
    SELECT id::text, type, session_id::text, project, sequence, time, data FROM events
    CROSS JOIN LATERAL (
        SELECT CASE WHEN $4::jsonb ? type THEN data ->> ($4::jsonb ->> type) ELSE project END AS plain
    ) AS last_word
    WHERE ($1::text IS NULL OR project = $1)
      AND ($2::text IS NULL OR '.' || type || '.' || CASE WHEN plain ~ '^[A-Za-z0-9_-]*$' THEN plain ELSE (
          SELECT string_agg(CASE WHEN letter ~ '[A-Za-z0-9_-]' THEN letter
                                 ELSE regexp_replace(upper(encode(convert_to(letter, 'UTF8'), 'hex')), '..', '%\&', 'g') END,
                            '' ORDER BY place)
          FROM regexp_split_to_table(plain, '') WITH ORDINALITY AS letters (letter, place)
      ) END ~ $2)
    ORDER BY time DESC, sequence DESC LIMIT $3
) AS latest ORDER BY time, sequence

-- name: story
-- What became of a session, without what its agent did from moment to moment: but that it asked somebody.
SELECT * FROM (
    SELECT id::text, type, session_id::text, project, sequence, time, data FROM events
    WHERE session_id = $1 AND (type <> 'runner.activity' OR data ->> 'activity' = 'waiting')
    ORDER BY sequence DESC LIMIT $2
) AS latest ORDER BY sequence

-- name: undelivered
-- By an index for each of the two.
SELECT (SELECT count(*) FROM outbox WHERE NOT delivered AND NOT dead)
     + (SELECT count(*) FROM outbox WHERE dead AND NOT delivered)

-- name: revive
WITH revived AS (
    UPDATE outbox SET dead = false, attempts = 0, error = NULL WHERE dead RETURNING partition
)
SELECT count(*), pg_notify($1, coalesce(string_agg(DISTINCT partition::text, ' '), '')) FROM revived

-- name: happened
SELECT EXISTS (SELECT FROM events WHERE session_id IS NULL AND key = $1)
