-- A budget knows periods from that on in which it was set. A reply that is read late and belongs to an earlier one is charged
-- to none: its period would be shown with a part of what was used in it.

CREATE OR REPLACE FUNCTION charge_budgets(session_ids uuid[], moments timestamptz[], tokens bigint[], dollars numeric[])
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
    HAVING period_end(budgets.period, budgets.timezone, began.at) > budgets.set_at
    ORDER BY budgets.id, began.at                             -- all lock them in one order, after everything else
    ON CONFLICT (budget_id, starts_at) DO UPDATE SET used = known.used + excluded.used;
END $$;
