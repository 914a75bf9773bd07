-- name: told
-- Nothing became of the session since that was told. That its agent did something is heard late.
SELECT type = $2 AND data ->> 'cause' = $3 FROM events
WHERE session_id = $1 AND type <> 'runner.activity' ORDER BY sequence DESC LIMIT 1

-- name: free
-- Sessions that were held and that nothing holds any more, in the order in which they were put away.
SELECT sessions.id::text AS session_id FROM sessions
LEFT JOIN LATERAL (SELECT max(ended_at) AS at FROM runners WHERE session_id = sessions.id) AS put_away ON true
WHERE state IN ('limited', 'asking') AND NOT EXISTS (SELECT FROM budgets_holding(sessions.id))
  AND NOT EXISTS (SELECT FROM session_limit_holding(sessions.id))
  AND NOT EXISTS (SELECT FROM account_holding(sessions.id))
ORDER BY coalesce(put_away.at, sessions.created_at), sessions.id
