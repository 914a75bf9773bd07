-- name: known
SELECT session_id::text, message_id, at, cost_usd, input_tokens AS input, output_tokens AS output, cache_creation_tokens AS cache_creation,
       cache_read_tokens AS cache_read, cache_creation_1h_tokens AS cache_creation_1h
FROM usage JOIN unnest($1::uuid[], $2::text[]) AS asked (session_id, message_id) USING (session_id, message_id)

-- name: add
-- A reply counts for the runner that recorded it first, and for the day of that; the counters grow by what is new. Those of
-- days come after all other locks, in one order.
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[], $7::bigint[],
                         $8::bigint[], $9::bigint[], $10::numeric[], $11::bigint[])
        AS given (session_id, message_id, runner_id, model, at, input_tokens, output_tokens, cache_creation_tokens,
                  cache_read_tokens, cost_usd, cache_creation_1h_tokens)
), before AS (
    SELECT usage.* FROM usage JOIN given USING (session_id, message_id)
), written AS (
    INSERT INTO usage (session_id, message_id, runner_id, model, at, input_tokens, output_tokens, cache_creation_tokens,
                       cache_read_tokens, cost_usd, cache_creation_1h_tokens)
    SELECT * FROM given
    ON CONFLICT (session_id, message_id) DO UPDATE
        SET model = excluded.model, input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,
            cache_creation_tokens = excluded.cache_creation_tokens, cache_read_tokens = excluded.cache_read_tokens,
            cache_creation_1h_tokens = excluded.cache_creation_1h_tokens, cost_usd = excluded.cost_usd
    RETURNING *
), new AS (
    SELECT written.runner_id,
           sum(written.input_tokens - coalesce(before.input_tokens, 0)) AS input_tokens,
           sum(written.output_tokens - coalesce(before.output_tokens, 0)) AS output_tokens,
           sum(written.cache_creation_tokens - coalesce(before.cache_creation_tokens, 0)) AS cache_creation_tokens,
           sum(written.cache_read_tokens - coalesce(before.cache_read_tokens, 0)) AS cache_read_tokens,
           sum(written.cost_usd) AS cost_usd, sum(before.cost_usd) AS cost_before,
           sum(CASE WHEN written.cost_usd IS NULL THEN written.input_tokens + written.output_tokens
                                                       + written.cache_creation_tokens + written.cache_read_tokens ELSE 0 END
               - CASE WHEN before.message_id IS NOT NULL AND before.cost_usd IS NULL
                      THEN before.input_tokens + before.output_tokens + before.cache_creation_tokens
                           + before.cache_read_tokens ELSE 0 END) AS unpriced_tokens
    FROM written LEFT JOIN before USING (session_id, message_id) GROUP BY written.runner_id
), today AS (
    INSERT INTO tokens_by_day AS known (day, project_id, host, tokens)
    SELECT (written.at AT TIME ZONE 'UTC')::date, project_id, runners.host,
           sum(written.input_tokens + written.output_tokens + written.cache_creation_tokens + written.cache_read_tokens
               - coalesce(before.input_tokens + before.output_tokens + before.cache_creation_tokens
                          + before.cache_read_tokens, 0))
    FROM written LEFT JOIN before USING (session_id, message_id)
    JOIN sessions ON sessions.id = session_id JOIN runners ON runners.id = written.runner_id
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (day, project_id, host) DO UPDATE SET tokens = known.tokens + excluded.tokens
)
UPDATE runners
SET input_tokens = runners.input_tokens + new.input_tokens,
    output_tokens = runners.output_tokens + new.output_tokens,
    cache_creation_tokens = runners.cache_creation_tokens + new.cache_creation_tokens,
    cache_read_tokens = runners.cache_read_tokens + new.cache_read_tokens,
    cost_usd = CASE WHEN new.cost_usd IS NULL THEN runners.cost_usd
                    ELSE coalesce(runners.cost_usd, 0) + new.cost_usd - coalesce(new.cost_before, 0) END,
    unpriced_tokens = runners.unpriced_tokens + new.unpriced_tokens
FROM new WHERE runners.id = new.runner_id

-- name: by_model
SELECT model, count(*) AS replies, sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens,
       sum(cache_creation_tokens)::bigint AS cache_creation_tokens, sum(cache_read_tokens)::bigint AS cache_read_tokens,
       sum(cost_usd)::float8 AS cost_usd,
       coalesce(sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens)
                FILTER (WHERE cost_usd IS NULL), 0)::bigint AS unpriced_tokens
FROM usage WHERE session_id = $1 GROUP BY model ORDER BY sum(input_tokens + output_tokens) DESC, model

-- name: spent
-- Days are those of UTC. They come in their order, everything else by what it used.
SELECT CASE $1 WHEN 'project' THEN projects.name WHEN 'session' THEN session_id::text WHEN 'model' THEN usage.model
               ELSE to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD') END AS key,
       CASE WHEN $1 = 'session' THEN min(projects.name) END AS project,
       count(*) AS replies, sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens,
       sum(cache_creation_tokens)::bigint AS cache_creation_tokens, sum(cache_read_tokens)::bigint AS cache_read_tokens,
       sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens)::bigint AS tokens_used,
       sum(cost_usd)::float8 AS cost_usd,
       coalesce(sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens)
                FILTER (WHERE cost_usd IS NULL), 0)::bigint AS unpriced_tokens
FROM usage JOIN sessions ON sessions.id = session_id JOIN projects ON projects.id = project_id
WHERE ($2::timestamptz IS NULL OR at >= $2) AND ($3::text IS NULL OR projects.name = $3)
GROUP BY 1
ORDER BY CASE WHEN $1 = 'day' THEN min(at) END, tokens_used DESC, key

-- name: spent_by_day
-- Days are those of UTC; the order is that of bytes, so that it is the same everywhere.
SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, projects.name AS project, session_id::text, usage.model,
       count(*) AS replies, sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens,
       sum(cache_creation_tokens)::bigint AS cache_creation_tokens, sum(cache_read_tokens)::bigint AS cache_read_tokens,
       sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens)::bigint AS tokens_used,
       trim_scale(sum(cost_usd))::text AS cost_usd,
       coalesce(sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens)
                FILTER (WHERE cost_usd IS NULL), 0)::bigint AS unpriced_tokens
FROM usage JOIN sessions ON sessions.id = session_id JOIN projects ON projects.id = project_id
WHERE ($1::date IS NULL OR at >= $1::date::timestamp AT TIME ZONE 'UTC')
  AND ($2::date IS NULL OR at < ($2::date + 1)::timestamp AT TIME ZONE 'UTC')
  AND ($3::text IS NULL OR projects.name = $3)
GROUP BY 1, 2, 3, 4
ORDER BY 1, projects.name COLLATE "C", 3, usage.model COLLATE "C" NULLS FIRST
