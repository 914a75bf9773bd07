-- name: of_session
-- The account is made when a session of it comes first.
WITH made AS (
    INSERT INTO accounts (provider, name) VALUES ($2, $3) ON CONFLICT (provider, name) DO NOTHING RETURNING id
), account AS (
    SELECT id FROM made UNION ALL SELECT id FROM accounts WHERE provider = $2 AND name = $3
)
UPDATE sessions SET account_id = (SELECT id FROM account LIMIT 1)
WHERE id = $1 AND account_id IS DISTINCT FROM (SELECT id FROM account LIMIT 1)

-- name: lock
SELECT accounts.id::text AS account_id, provider, name, limited_until, limited_at, limits_in_a_row
FROM accounts JOIN sessions ON account_id = accounts.id WHERE sessions.id = $1 FOR NO KEY UPDATE OF accounts

-- name: limit
UPDATE accounts SET limited_until = $2, limited_at = $3, limits_in_a_row = $4, limit_reason = $5 WHERE id = $1

-- name: holding
SELECT id::text AS account_id, name, until, in_a_row, reason FROM account_holding($1)

-- name: answered
-- A limit without a time is over, for all of the account, once one of its agents was answered.
UPDATE accounts SET limited_until = NULL, limits_in_a_row = 0
FROM sessions JOIN runners ON runners.session_id = sessions.id AND runners.generation = sessions.generation
WHERE accounts.id = sessions.account_id AND accounts.limits_in_a_row > 0 AND runners.host = $1
  AND runners.turn_ended_at > accounts.limited_at AND NOT runners.turn_failed
RETURNING accounts.id::text

-- name: pass_by
INSERT INTO account_passes (session_id, until) SELECT $1::uuid, until FROM account_holding($1)
ON CONFLICT (session_id) DO UPDATE SET until = excluded.until
