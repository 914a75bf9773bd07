-- Limits of providers, known by account: one session runs into one, and the others of the account need not.

ALTER TABLE accounts
    ADD COLUMN limited_at      timestamptz,                   -- when an agent was last told of a limit
    ADD COLUMN limits_in_a_row integer NOT NULL DEFAULT 0;    -- without a time, with no answer between them

CREATE INDEX sessions_by_account ON sessions (account_id) WHERE account_id IS NOT NULL;

CREATE TABLE account_passes (                                 -- sessions that go on past their account's limit (--god)
    session_id uuid PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
    until      timestamptz NOT NULL                           -- limits that end by then
);

-- The account's limit that holds a session now.
CREATE FUNCTION account_holding(session uuid) RETURNS TABLE (id uuid, name text, until timestamptz, in_a_row integer, reason text)
LANGUAGE sql STABLE AS $$
    SELECT accounts.id, accounts.name, limited_until, limits_in_a_row, limit_reason
    FROM sessions JOIN accounts ON accounts.id = sessions.account_id
    WHERE sessions.id = session AND limited_until > now()
      AND NOT EXISTS (SELECT FROM account_passes AS passes WHERE passes.session_id = session AND passes.until >= limited_until)
$$;
