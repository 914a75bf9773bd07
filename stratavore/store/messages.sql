-- name: add
-- What was said is never changed: a row that is read again is the same.
INSERT INTO messages (session_id, message_id, at, role, text, subagent)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::boolean[])
ON CONFLICT (session_id, message_id) DO NOTHING

-- name: words
-- Whether there is anything to be searched for.
SELECT numnode(websearch_to_tsquery('english', $1))

-- name: plan_anew
-- How many match is known of given words only; and what is done is over before it would be compiled. For this transaction.
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true)

-- name: search
-- Ranked are the newest of what matches: with very many, the order costs more than anybody reads.
WITH matching AS MATERIALIZED (
    SELECT session_id, message_id, at FROM messages
    WHERE words @@ websearch_to_tsquery('english', $1)
      AND ($2::uuid IS NULL OR session_id IN (SELECT id FROM sessions WHERE project_id = $2))
    ORDER BY at DESC LIMIT $4
), ranked AS MATERIALIZED (
    SELECT session_id, message_id, messages.at, role, text, subagent,
           ts_rank_cd(words, websearch_to_tsquery('english', $1), 1) AS rank
    FROM matching JOIN messages USING (session_id, message_id)
    ORDER BY rank DESC, at DESC LIMIT $3
)
SELECT ranked.session_id::text, projects.name AS project, sessions.agent, role, ranked.at, subagent, message_id, rank,
       ts_headline('english', left(text, 100000), websearch_to_tsquery('english', $1), $5) AS excerpt
FROM ranked JOIN sessions ON sessions.id = ranked.session_id JOIN projects ON projects.id = sessions.project_id
ORDER BY rank DESC, ranked.at DESC
