-- Budgets: tokens or dollars for a period, of everything, of a project or of a session.

CREATE TABLE budgets (
    id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    scope    text NOT NULL CHECK (scope IN ('global', 'project', 'session')),
    scope_id text NOT NULL DEFAULT '',
    unit     text NOT NULL CHECK (unit IN ('tokens', 'usd')),
    period   text NOT NULL CHECK (period IN ('hourly', 'daily', 'weekly', 'monthly')),
    timezone text NOT NULL,                                   -- whose clock the periods follow
    amount   numeric NOT NULL CHECK (amount > 0),
    warn_at  numeric NOT NULL CHECK (warn_at > 0 AND warn_at <= 1),   -- share of the amount
    action   text NOT NULL CHECK (action IN ('warn', 'pause', 'ask', 'terminate')),
    grace    interval NOT NULL,                               -- that a turn under way has, once it is used up
    set_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (scope, scope_id, unit, period)
);

CREATE TABLE budget_periods (                                 -- what was charged; there is no row before the first charge
    budget_id  uuid NOT NULL REFERENCES budgets ON DELETE CASCADE,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    amount     numeric NOT NULL,                              -- as it was then
    extra      numeric NOT NULL DEFAULT 0,                    -- that people approved, or gave back by a reset
    used       numeric NOT NULL DEFAULT 0,
    warned_at  timestamptz,
    reached_at timestamptz,
    PRIMARY KEY (budget_id, starts_at)
);

CREATE TABLE budget_passes (                                  -- sessions that go on past a budget until its period ends (--god)
    budget_id  uuid NOT NULL REFERENCES budgets ON DELETE CASCADE,
    starts_at  timestamptz NOT NULL,
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    PRIMARY KEY (budget_id, starts_at, session_id)
);
CREATE INDEX budget_passes_of_session ON budget_passes (session_id);

-- The period that a moment belongs to is named by its start. Hours are real ones; longer periods begin at midnight of their
-- zone, or right after it where clocks skip midnight. Weeks begin on Monday.
CREATE FUNCTION period_start(period text, timezone text, at timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT date_trunc(CASE period WHEN 'hourly' THEN 'hour' WHEN 'daily' THEN 'day' WHEN 'weekly' THEN 'week' ELSE 'month' END,
                      at, timezone)
$$;

CREATE FUNCTION period_end(period text, timezone text, starts_at timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE period WHEN 'hourly' THEN starts_at + interval '1 hour'
           ELSE ((starts_at AT TIME ZONE timezone)::date
                 + CASE period WHEN 'daily' THEN interval '1 day' WHEN 'weekly' THEN interval '7 days' ELSE interval '1 month' END
                ) AT TIME ZONE timezone END
$$;

-- Charges what replies used to every budget that they fall under, in the transaction that counts them. Who sets a budget sums
-- what was used before, and excludes charges meanwhile by the same lock: nothing is charged twice or not at all.
-- A function, since each of its statements sees what was committed before it began.
CREATE FUNCTION charge_budgets(session_ids uuid[], moments timestamptz[], tokens bigint[], dollars numeric[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('stratavore.budgets'));
    IF NOT EXISTS (SELECT FROM budgets) THEN
        RETURN;
    END IF;
    INSERT INTO budget_periods AS known (budget_id, starts_at, ends_at, amount, used)
    SELECT budgets.id, began.at, period_end(budgets.period, budgets.timezone, began.at), budgets.amount,
           sum(CASE budgets.unit WHEN 'tokens' THEN spent.tokens ELSE spent.dollars END)
    FROM unnest(session_ids, moments, tokens, dollars) AS spent (session_id, at, tokens, dollars)
    JOIN sessions ON sessions.id = spent.session_id
    CROSS JOIN LATERAL (VALUES ('global', ''), ('project', sessions.project_id::text), ('session', spent.session_id::text))
        AS under (scope, scope_id)
    JOIN budgets ON budgets.scope = under.scope AND budgets.scope_id = under.scope_id
    CROSS JOIN LATERAL period_start(budgets.period, budgets.timezone, spent.at) AS began (at)
    GROUP BY budgets.id, began.at
    ORDER BY budgets.id, began.at                             -- all lock them in one order, after everything else
    ON CONFLICT (budget_id, starts_at) DO UPDATE SET used = known.used + excluded.used;
END $$;

-- Each budget in its present period.
CREATE VIEW budget_use AS
SELECT budgets.*, began.at AS starts_at, period_end(period, timezone, began.at) AS ends_at,
       coalesce(present.used, 0) AS used, coalesce(present.extra, 0) AS extra, present.warned_at, present.reached_at,
       coalesce(present.used, 0) >= budgets.amount + coalesce(present.extra, 0) AS used_up
FROM budgets
CROSS JOIN LATERAL period_start(period, timezone, now()) AS began (at)
LEFT JOIN budget_periods AS present ON present.budget_id = budgets.id AND present.starts_at = began.at;

-- Budgets that hold a session now.
CREATE FUNCTION budgets_holding(session uuid) RETURNS SETOF budget_use LANGUAGE sql STABLE AS $$
    SELECT budget_use.* FROM sessions
    CROSS JOIN LATERAL (VALUES ('global', ''), ('project', project_id::text), ('session', sessions.id::text))
        AS under (scope, scope_id)
    JOIN budget_use ON budget_use.scope = under.scope AND budget_use.scope_id = under.scope_id
    WHERE sessions.id = session AND used_up AND action <> 'warn'
      AND NOT EXISTS (SELECT FROM budget_passes
                      WHERE budget_passes.session_id = session AND budget_id = budget_use.id
                        AND budget_passes.starts_at = budget_use.starts_at)
$$;
