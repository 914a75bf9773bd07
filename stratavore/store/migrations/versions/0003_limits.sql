-- Limits of memory and of tokens: what is used of them, and what set them.

ALTER TABLE limits ADD COLUMN source text;                    -- what set it, if no person did: the configuration of a host

CREATE TABLE tokens_by_day (                                  -- of `usage`, summed as it is written
    day        date NOT NULL,                                 -- in UTC
    project_id uuid NOT NULL,                                 -- kept when the project is gone: the tokens were used
    host       text NOT NULL,                                 -- each counts for itself: none waits for another's row
    tokens     bigint NOT NULL,
    PRIMARY KEY (day, project_id, host)
);
INSERT INTO tokens_by_day
SELECT (at AT TIME ZONE 'UTC')::date, project_id, runners.host,
       sum(usage.input_tokens + usage.output_tokens + usage.cache_creation_tokens + usage.cache_read_tokens)
FROM usage
JOIN sessions ON sessions.id = usage.session_id
JOIN runners ON runners.id = runner_id
GROUP BY 1, 2, 3;

-- What is used now of a limit, in a project or (NULL) in all. In a language whose plans are kept: every admission asks.
CREATE FUNCTION limit_used(limit_name text, project uuid) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    CASE limit_name
    WHEN 'max_concurrent_runners' THEN
        IF project IS NULL THEN
            RETURN (SELECT count(*) FROM admissions WHERE granted_at IS NOT NULL);
        END IF;
        RETURN (SELECT count(*) FROM admissions WHERE granted_at IS NOT NULL AND project_id = project);
    WHEN 'max_memory_mb' THEN
        -- A slot counts 256 MB, and more if its runner was measured with more: many who come at once do not all see nothing.
        -- A live runner has a slot, so in all it is enough to look at the runners.
        IF project IS NULL THEN
            RETURN 256 * limit_used('max_concurrent_runners', NULL)
                   + (SELECT coalesce(ceil(sum(greatest(memory_mb - 256, 0))), 0) FROM runners WHERE ended_at IS NULL);
        END IF;
        RETURN (SELECT 256 * count(*) + coalesce(ceil(sum(greatest(memory_mb - 256, 0))), 0)
                FROM admissions LEFT JOIN runners ON runners.session_id = admissions.session_id AND ended_at IS NULL
                WHERE granted_at IS NOT NULL AND project_id = project);
    WHEN 'max_tokens_per_day' THEN
        RETURN (SELECT least(coalesce(sum(tokens), 0), 1e18) FROM tokens_by_day
                WHERE day = (now() AT TIME ZONE 'UTC')::date AND (project IS NULL OR project_id = project));
    END CASE;
END $$;

-- Each limit with what is used of it, and how many more it lets in (NULL: any number).
CREATE VIEW limit_use AS
SELECT scope, scope_id, name, value, source, used,
       CASE WHEN used >= value THEN 0
            WHEN name = 'max_concurrent_runners' THEN value - used
            WHEN name = 'max_memory_mb' THEN (value - used + 255) / 256
       END AS free
FROM limits
CROSS JOIN LATERAL limit_used(name, CASE scope WHEN 'project' THEN scope_id::uuid END) AS used
WHERE scope <> 'session';
