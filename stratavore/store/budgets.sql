-- name: lock
-- Until the transaction ends nothing is charged (see charge_budgets), and nobody else changes budgets.
SELECT pg_advisory_xact_lock(hashtext('stratavore.budgets'))

-- name: charge
SELECT charge_budgets($1, $2, $3, $4)

-- name: set
INSERT INTO budgets (scope, scope_id, unit, period, timezone, amount, warn_at, action, grace)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (scope, scope_id, unit, period) DO UPDATE
    SET timezone = excluded.timezone, amount = excluded.amount, warn_at = excluded.warn_at, action = excluded.action,
        grace = excluded.grace,
        -- Since when it knows all that is used in its periods: other ones begin with another zone.
        set_at = CASE WHEN budgets.timezone = excluded.timezone THEN budgets.set_at ELSE now() END
RETURNING id

-- name: begin
-- The present period, with what was used in it before there was the budget; what deleted projects used is known from its
-- charges only. What people approved is over.
INSERT INTO budget_periods AS known (budget_id, starts_at, ends_at, amount, used)
SELECT id, starts_at, ends_at, amount, spent.used FROM budget_use
CROSS JOIN LATERAL (
    SELECT coalesce(sum(CASE unit WHEN 'tokens' THEN input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens
                        ELSE cost_usd END), 0) AS used
    FROM usage JOIN sessions ON sessions.id = session_id
    WHERE at >= budget_use.starts_at AND at < budget_use.ends_at
      AND period_start(period, timezone, at) = budget_use.starts_at
      AND (scope = 'global' OR (scope = 'project' AND project_id::text = scope_id)
           OR (scope = 'session' AND session_id::text = scope_id))
) AS spent
WHERE id = $1
ON CONFLICT (budget_id, starts_at) DO UPDATE
    SET ends_at = excluded.ends_at, amount = excluded.amount, used = greatest(known.used, excluded.used), extra = 0,
        warned_at = NULL, reached_at = NULL

-- name: unset
DELETE FROM budgets
WHERE scope = $1 AND scope_id = $2 AND ($3::text IS NULL OR unit = $3) AND ($4::text IS NULL OR period = $4)
RETURNING id

-- name: views
SELECT budget_use.id::text AS budget_id, budget_use.scope, project_of_budget(budget_use.scope, budget_use.scope_id) AS project,
       CASE WHEN budget_use.scope = 'session' THEN budget_use.scope_id END AS session_id,
       unit, period, timezone, amount, warn_at, action, extract(epoch FROM grace)::float8 AS grace_s,
       used, extra, used_up, starts_at, ends_at, warned_at, reached_at,
       coalesce(waiting.held, 0) AS held
FROM budget_use
LEFT JOIN (
    SELECT holding.id, count(*) AS held FROM sessions CROSS JOIN LATERAL budgets_holding(sessions.id) AS holding
    WHERE sessions.state IN ('limited', 'asking') GROUP BY holding.id
) AS waiting ON waiting.id = budget_use.id
WHERE ($1::text IS NULL OR (budget_use.scope = $1 AND budget_use.scope_id = $2))
ORDER BY array_position(ARRAY['global', 'project', 'session'], budget_use.scope), project, budget_use.scope_id, unit,
         array_position(ARRAY['hourly', 'daily', 'weekly', 'monthly'], period)

-- name: history
SELECT budgets.scope, project_of_budget(budgets.scope, budgets.scope_id) AS project,
       CASE WHEN budgets.scope = 'session' THEN budgets.scope_id END AS session_id,
       budgets.unit, budgets.period, past.starts_at, past.ends_at, past.amount, past.extra, past.used, past.warned_at,
       past.reached_at
FROM budget_periods AS past
JOIN budgets ON budgets.id = past.budget_id
WHERE ($1::text IS NULL OR (budgets.scope = $1 AND budgets.scope_id = $2))
ORDER BY past.starts_at DESC, budgets.scope, project, budgets.scope_id, budgets.unit, budgets.period
LIMIT $3

-- name: give
-- So much from now on: of what was used beyond the budget nothing is taken off it. NULL: as much as the budget is.
INSERT INTO budget_periods AS known (budget_id, starts_at, ends_at, amount, used, extra)
SELECT id, starts_at, ends_at, amount, used, used + coalesce($2::numeric, amount) - amount FROM budget_use WHERE id = $1
ON CONFLICT (budget_id, starts_at) DO UPDATE
    SET extra = known.used + coalesce($2::numeric, known.amount) - known.amount, warned_at = NULL, reached_at = NULL

-- name: holding
-- Of several the one that takes most; then the one that lasts longest.
SELECT id::text AS budget_id, scope, unit, period, timezone, amount, extra, used, action, starts_at, ends_at
FROM budgets_holding($1)
ORDER BY array_position(ARRAY['terminate', 'ask', 'pause'], action), ends_at DESC, id LIMIT 1

-- name: holding_ids
SELECT id::text AS budget_id FROM budgets_holding($1) ORDER BY id

-- name: pass_by
-- Until the present periods end.
INSERT INTO budget_passes (budget_id, starts_at, session_id)
SELECT id, starts_at, $1::uuid FROM budgets_holding($1) ON CONFLICT DO NOTHING

-- name: any_crossing
SELECT EXISTS (
    SELECT FROM budget_use
    WHERE (warned_at IS NULL AND used >= (amount + extra) * warn_at) OR (reached_at IS NULL AND used_up)
)

-- name: cross
-- Budgets that have come to their warning, or to their end, since this was asked last. Who marks one tells it.
WITH crossing AS (
    SELECT budget_use.id, budget_use.starts_at,
           budget_use.warned_at IS NULL AND budget_use.used >= (budget_use.amount + budget_use.extra) * warn_at AS warns,
           budget_use.reached_at IS NULL AND used_up AS ends
    FROM budget_use
), marked AS (
    UPDATE budget_periods AS known
    SET warned_at = CASE WHEN warns THEN now() ELSE known.warned_at END,
        reached_at = CASE WHEN ends THEN now() ELSE known.reached_at END
    FROM crossing
    WHERE known.budget_id = crossing.id AND known.starts_at = crossing.starts_at AND (warns OR ends)
    RETURNING known.*, warns, ends
)
SELECT marked.budget_id::text, scope, scope_id, unit, period, timezone, marked.starts_at, marked.ends_at, marked.amount,
       marked.extra, marked.used, action, warns, ends, coalesce(project_of_budget(scope, scope_id), '') AS project
FROM marked JOIN budgets ON budgets.id = marked.budget_id
ORDER BY marked.budget_id

-- name: any_used_up
SELECT EXISTS (SELECT FROM budget_use WHERE used_up AND action <> 'warn')

-- name: overdrawn
-- Live runners of a host whose sessions a budget holds.
SELECT runners.id AS runner_id, sessions.id::text AS session_id, runners.generation, runners.activity,
       holding.budget_id::text, holding.scope, holding.unit, holding.period, holding.timezone,
       holding.amount, holding.extra, holding.used, holding.action, holding.starts_at, holding.ends_at,
       holding.reached_at + holding.grace <= now() AS grace_over
FROM runners JOIN sessions ON sessions.id = runners.session_id AND sessions.generation = runners.generation
CROSS JOIN LATERAL (
    SELECT id AS budget_id, scope, unit, period, timezone, amount, extra, used, action, starts_at, ends_at, reached_at, grace
    FROM budgets_holding(sessions.id)
    ORDER BY array_position(ARRAY['terminate', 'ask', 'pause'], action), ends_at DESC, id LIMIT 1
) AS holding
WHERE runners.host = $1 AND runners.ended_at IS NULL AND runners.started_at IS NOT NULL AND sessions.state = 'running'

-- name: periods
SELECT period_start($1, $2, now()) AS present, period_start($1, $2, $3) AS due

-- name: begun
SELECT budgets.id::text AS budget_id, scope, scope_id, unit, period, budgets.amount,
       coalesce(project_of_budget(scope, scope_id), '') AS project,
       coalesce((SELECT used FROM budget_periods AS past
                 WHERE past.budget_id = budgets.id AND past.starts_at < period_start(period, timezone, now())
                 ORDER BY starts_at DESC LIMIT 1), 0) AS used_before
FROM budgets
WHERE period = $1 AND timezone = $2

-- name: clocks
SELECT DISTINCT period, timezone FROM budgets ORDER BY 1, 2
