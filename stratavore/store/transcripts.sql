-- name: of_sessions
-- The files of conversations as they are now: of one that was begun anew, its last part.
SELECT DISTINCT ON (session_id, agent_session_id, name)
       id, session_id::text, agent_session_id, subagent, name, path, part, read_to, mark
FROM transcripts WHERE session_id = ANY ($1::uuid[])
ORDER BY session_id, agent_session_id, name, part DESC

-- name: lock
-- In the order of their ids, as everybody who locks several.
SELECT id FROM sessions WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE

-- name: current
-- Fenced: a runner of the past, or of another host, has nothing to say any more.
SELECT runners.id FROM runners
JOIN sessions ON sessions.id = session_id AND sessions.generation = runners.generation
WHERE runners.id = ANY ($1::text[]) AND runners.host = $2 AND runners.ended_at IS NULL

-- name: keep
INSERT INTO transcripts AS kept (session_id, agent_session_id, subagent, name, path, part, read_to, mark, rows, unknown_rows)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::text[], $5::text[], $6::integer[], $7::bigint[], $8::bytea[],
                     $9::bigint[], $10::bigint[])
ON CONFLICT (session_id, agent_session_id, name, part) DO UPDATE
    SET path = excluded.path, read_to = excluded.read_to, mark = excluded.mark, rows = kept.rows + excluded.rows,
        unknown_rows = kept.unknown_rows + excluded.unknown_rows
RETURNING id, session_id::text, agent_session_id, name, part

-- name: keep_content
INSERT INTO transcript_chunks (transcript_id, start, content)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])

-- name: files
-- Conversations in the order in which they were begun, each followed by those of agents that it started.
SELECT id, session_id::text, agent_session_id, subagent, name, path, part, read_to, mark FROM (
    SELECT DISTINCT ON (agent_session_id, name) *,
           min(id) FILTER (WHERE NOT subagent) OVER (PARTITION BY agent_session_id) AS conversation,
           first_value(id) OVER (PARTITION BY agent_session_id, name ORDER BY part) AS first
    FROM transcripts WHERE session_id = $1 AND ($2::text IS NULL OR agent_session_id = $2)
    ORDER BY agent_session_id, name, part DESC
) AS latest ORDER BY conversation, subagent, first

-- name: content
-- Whole chunks from a place on, until they are about so many bytes.
SELECT start, content FROM (
    SELECT start, content, sum(octet_length(content)) OVER (ORDER BY start) - octet_length(content) AS before
    FROM (SELECT * FROM transcript_chunks WHERE transcript_id = $1 AND start >= $2 ORDER BY start LIMIT 256) AS next
) AS counted WHERE before < $3 ORDER BY start

-- name: health
-- Of conversations that were written in the last days.
SELECT sessions.agent, sum(rows)::bigint AS rows, sum(unknown_rows)::bigint AS unknown_rows
FROM transcripts JOIN sessions ON sessions.id = session_id
WHERE sessions.updated_at > now() - interval '7 days'
GROUP BY sessions.agent

-- name: unmetered
SELECT sessions.agent, sum(unmetered_turns)::bigint AS turns
FROM runners JOIN sessions ON sessions.id = session_id
WHERE runners.created_at > now() - interval '7 days' AND unmetered_turns > 0
GROUP BY sessions.agent

-- name: count_unmetered
UPDATE runners SET unmetered_turns = unmetered_turns + 1 WHERE id = ANY ($1::text[])
