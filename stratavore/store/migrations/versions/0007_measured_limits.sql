-- Limits of sessions, and limits of memory that are measured to be passed.

ALTER TABLE runners ADD COLUMN attached boolean NOT NULL DEFAULT false;   -- a person looks at its terminal

CREATE TABLE memory_over (                                    -- limits of memory of which more is used than they let
    scope     text NOT NULL,
    scope_id  text NOT NULL,
    since     timestamptz,                                    -- without a break; NULL: not now, though nearly
    runner_id text,                                           -- that is being ended over it
    PRIMARY KEY (scope, scope_id)
);

-- What a session uses now of a limit of its own.
CREATE FUNCTION session_limit_used(limit_name text, session uuid) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    CASE limit_name
    WHEN 'max_memory_mb' THEN
        RETURN (SELECT coalesce(ceil(sum(memory_mb)), 0) FROM runners WHERE session_id = session AND ended_at IS NULL);
    WHEN 'max_tokens_per_day' THEN
        RETURN (SELECT least(coalesce(sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens), 0), 1e18)
                FROM usage WHERE session_id = session AND (at AT TIME ZONE 'UTC')::date = (now() AT TIME ZONE 'UTC')::date);
    END CASE;
END $$;

-- The limit of a session's own that holds it now: its tokens of the day are used.
CREATE FUNCTION session_limit_holding(session uuid) RETURNS TABLE (name text, value bigint, used bigint, until timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT limits.name, limits.value, spent.used, date_trunc('day', now(), 'UTC') + interval '1 day'
    FROM limits
    CROSS JOIN LATERAL session_limit_used(limits.name, session) AS spent (used)
    WHERE scope = 'session' AND scope_id = session::text AND limits.name = 'max_tokens_per_day' AND spent.used >= limits.value
$$;
