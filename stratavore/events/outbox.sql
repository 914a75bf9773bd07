-- name: lock
-- Not FOR UPDATE: rows that refer to a session may still be written beside it.
SELECT id::text, last_sequence FROM sessions WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE

-- name: known
-- A statement of its own after the locks: its snapshot sees what those who held them committed.
SELECT clock_timestamp() AS now,
       ARRAY(
           SELECT position FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS wanted (session_id, key, position)
           WHERE EXISTS (SELECT FROM events
                         WHERE events.session_id = wanted.session_id AND events.key = wanted.key)
              OR wanted.session_id IS NULL
                 AND EXISTS (SELECT FROM events WHERE events.session_id IS NULL AND events.key = wanted.key)
       ) AS positions

-- name: append
-- A system event's cause may be recorded by two transactions at once: the second one waits for the first and leaves it.
WITH new AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
                         $8::text[], $9::text[], $10::smallint[])
        WITH ORDINALITY AS t (id, session_id, sequence, key, type, project, time, data, signature, partition, position)
), recorded AS (
    INSERT INTO events (id, session_id, sequence, key, type, project, time, data, signature)
    SELECT id, session_id, sequence, key, type, project, time, data::jsonb, signature FROM new ORDER BY position
    ON CONFLICT (key) WHERE session_id IS NULL DO NOTHING
    RETURNING id, session_id, sequence
), waiting AS (
    INSERT INTO outbox (event_id, partition)
    SELECT new.id, new.partition FROM new JOIN recorded USING (id) ORDER BY new.position
    RETURNING partition
), counted AS (
    UPDATE sessions SET last_sequence = latest.sequence
    FROM (SELECT session_id, max(sequence) AS sequence FROM recorded GROUP BY session_id) AS latest
    WHERE sessions.id = latest.session_id
)
SELECT ARRAY(SELECT id::text FROM recorded) AS ids,
       (SELECT pg_notify($11, string_agg(DISTINCT partition::text, ' ')) FROM waiting HAVING count(*) > 0) AS told
