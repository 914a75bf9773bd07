-- name: join_line
-- The lock makes admission serial: who takes a ticket later stands later, and no limit is passed by two at once.
-- Order of locks everywhere: the session's own row, then this.
INSERT INTO admissions (session_id, project_id)
SELECT $1::uuid, $2::uuid FROM (SELECT pg_advisory_xact_lock(hashtext('stratavore.admission'))) AS locked
ON CONFLICT (session_id) DO NOTHING

-- name: enter
-- The slot counts as used, though no limit let it be taken.
INSERT INTO admissions (session_id, project_id, granted_at) VALUES ($1, $2, clock_timestamp())
ON CONFLICT (session_id) DO UPDATE SET granted_at = coalesce(admissions.granted_at, excluded.granted_at)

-- name: lock
SELECT pg_advisory_xact_lock(hashtext('stratavore.admission'))

-- name: leave
DELETE FROM admissions WHERE session_id = $1

-- name: grant
-- Everyone who has room, in the order of the line: a session waits for its project's limits and for the global ones, and does
-- not hold up sessions of projects that have room. The line is never read as a whole: from each project that waits, only
-- those who have room are read, from its head. What is used is counted only where a limit asks for it and somebody waits.
-- NULL is no limit, in min(), least() and LIMIT.
WITH RECURSIVE room AS (
    SELECT (SELECT min(free) FROM limit_use WHERE scope = 'global') AS free
    WHERE EXISTS (SELECT FROM admissions WHERE granted_at IS NULL)
), waiting (project_id) AS (
    (SELECT project_id FROM admissions WHERE granted_at IS NULL ORDER BY project_id LIMIT 1)
    UNION ALL
    SELECT (SELECT admissions.project_id FROM admissions
            WHERE granted_at IS NULL AND admissions.project_id > waiting.project_id ORDER BY project_id LIMIT 1)
    FROM waiting WHERE project_id IS NOT NULL
), next AS (
    SELECT head.session_id
    FROM room, waiting
    LEFT JOIN LATERAL (
        SELECT min(free) AS free FROM limit_use WHERE scope = 'project' AND scope_id = waiting.project_id::text
    ) AS project ON true
    CROSS JOIN LATERAL (
        SELECT session_id, ticket FROM admissions
        -- As a range, so that the order comes from the index of projects alone: that of all would be read past all others.
        WHERE granted_at IS NULL AND (admissions.project_id, ticket) > (waiting.project_id, 0)
          AND (admissions.project_id, ticket) < (waiting.project_id, 9223372036854775807)
        ORDER BY admissions.project_id, ticket LIMIT least(room.free, project.free)
    ) AS head
    WHERE waiting.project_id IS NOT NULL
    ORDER BY head.ticket
    LIMIT least((SELECT free FROM room), $1::bigint)
)
-- An array is looked up in the index; a join could read all who wait.
UPDATE admissions SET granted_at = clock_timestamp() WHERE session_id = ANY (ARRAY(SELECT session_id FROM next))
RETURNING session_id::text, ticket

-- name: unheard
SELECT session_id::text FROM admissions JOIN sessions ON sessions.id = session_id
WHERE granted_at IS NOT NULL AND state = 'queued' ORDER BY ticket

-- name: place_in_line
SELECT mine.granted_at IS NOT NULL AS granted, mine.ticket, project_id::text,
       (SELECT count(*) FROM admissions AS ahead WHERE ahead.granted_at IS NULL AND ahead.ticket <= mine.ticket) AS position
FROM admissions AS mine WHERE mine.session_id = $1
