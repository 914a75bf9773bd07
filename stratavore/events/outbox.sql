-- name: begin
SELECT coalesce(sessions, '{}') AS sessions, sequences, coalesce(known, '{}') AS known, moment FROM events_begin($1, $2)

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
