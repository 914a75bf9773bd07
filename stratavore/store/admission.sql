-- name: join_line
-- The lock makes admission serial: who takes a ticket later stands later, and no limit is passed by two at once.
-- Order of locks everywhere: the session's own row, then this.
INSERT INTO admissions (session_id, project_id)
SELECT $1::uuid, $2::uuid FROM (SELECT pg_advisory_xact_lock(hashtext('stratavore.admission'))) AS locked
ON CONFLICT (session_id) DO NOTHING

-- name: lock
SELECT pg_advisory_xact_lock(hashtext('stratavore.admission'))

-- name: leave
DELETE FROM admissions WHERE session_id = $1

-- name: grant
-- Everyone who has room, in the order of the line: a session waits for its project's limit and for the global one, and does
-- not hold up sessions of projects that have room.
WITH held AS (
    SELECT project_id, count(*) AS used FROM admissions WHERE granted_at IS NOT NULL GROUP BY project_id
), room AS (
    -- NULL when there is no global limit: LIMIT NULL is no limit.
    SELECT (SELECT value FROM limits WHERE scope = 'global' AND name = 'max_concurrent_runners')
           - coalesce((SELECT sum(used) FROM held), 0) AS free
), line AS (
    SELECT waiting.session_id, waiting.ticket,
           limits.value - coalesce(held.used, 0) AS free,
           row_number() OVER (PARTITION BY waiting.project_id ORDER BY waiting.ticket) AS place
    FROM admissions AS waiting
    LEFT JOIN held USING (project_id)
    LEFT JOIN limits ON limits.scope = 'project' AND limits.scope_id = waiting.project_id::text
                    AND limits.name = 'max_concurrent_runners'
    WHERE waiting.granted_at IS NULL
), next AS (
    SELECT session_id FROM line WHERE free IS NULL OR place <= free
    ORDER BY ticket
    LIMIT (SELECT CASE WHEN free < 0 THEN 0 ELSE free END FROM room)
)
UPDATE admissions SET granted_at = clock_timestamp() FROM next
WHERE admissions.session_id = next.session_id
RETURNING admissions.session_id::text

-- name: place_in_line
SELECT mine.granted_at IS NOT NULL AS granted,
       (SELECT count(*) FROM admissions AS ahead WHERE ahead.granted_at IS NULL AND ahead.ticket <= mine.ticket) AS position
FROM admissions AS mine WHERE mine.session_id = $1
