-- name: place
-- One runner for each step; a runner of the session that has not ended is given again instead of a second one.
-- Without a slot, none: whatever a workflow believes, a limit is a limit.
WITH session AS (
    -- One that is to run on one host only; a host that was deleted binds nobody.
    SELECT sessions.id, host, granted_at IS NOT NULL AS holds_slot,
           (SELECT name FROM hosts WHERE name = launch->>'host') AS bound_to,
           -- Who waits for a lost host waits for it also if its agent had ended just before: its files and environment are there.
           CASE WHEN state = 'recovering' AND failover = 'wait'
                THEN (SELECT name FROM hosts WHERE name = sessions.host AND NOT draining) END AS waits_for
    FROM sessions LEFT JOIN admissions ON session_id = sessions.id WHERE sessions.id = $1
), known AS (
    SELECT runners.id, generation, runners.host FROM runners, session
    WHERE session_id = session.id AND (step = $2 OR ended_at IS NULL)
    ORDER BY generation DESC LIMIT 1
), open AS (
    SELECT name, machine FROM hosts, session
    WHERE lease_expires_at > now() AND NOT draining AND (coalesce(bound_to, waits_for, name) = name OR name = $5)
), chosen AS (
    -- Where it is moved to; else where it was, since its files are there; else where it is wished; else where there is most
    -- room: memory first, then the fewest runners for each processor.
    SELECT coalesce(
        (SELECT name FROM open WHERE name = $5),
        (SELECT name FROM open, session WHERE name = session.host),
        (SELECT name FROM open WHERE name = $3),
        (SELECT name FROM open
         ORDER BY coalesce((machine->>'memory_available_mb')::float8, 'infinity') < 1024,
                  (SELECT count(*) FROM runners WHERE runners.host = open.name AND ended_at IS NULL)
                  / coalesce((machine->>'processors')::float8, 1),
                  name LIMIT 1)) AS host
), raised AS (
    UPDATE sessions SET generation = generation + 1, host = chosen.host, state = $4, reason = NULL, ended_at = NULL,
                        updated_at = now(),
                        launch = CASE WHEN bound_to <> chosen.host  -- moved by a person, it stays there from now on
                                 THEN launch || jsonb_build_object('host', chosen.host) ELSE launch END
    FROM chosen, session
    WHERE sessions.id = session.id AND holds_slot AND chosen.host IS NOT NULL AND NOT EXISTS (SELECT FROM known)
    RETURNING generation, chosen.host
), made AS (
    INSERT INTO runners (id, session_id, generation, step, host, status)
    SELECT $1::uuid::text || '.' || generation, $1, generation, $2, host, 'starting' FROM raised
    RETURNING id, generation, host
)
SELECT holds_slot, runner.id, runner.generation, runner.host
FROM session LEFT JOIN (SELECT * FROM known UNION ALL SELECT * FROM made) AS runner ON true

-- name: run
UPDATE runners
SET status = 'running', pid = $2, pid_ticks = $3, wrapper_pid = $4, wrapper_ticks = $5, boot_id = $6, watched_by = $7,
    followed = CASE WHEN started_at IS NULL THEN $8 ELSE followed END, started_at = coalesce(started_at, now())
WHERE id = $1 AND ended_at IS NULL
RETURNING id

-- name: guard
-- Fenced as `run`: who is not the session's current runner is not to be started.
UPDATE runners SET term = $2
FROM sessions
WHERE runners.id = $1 AND runners.ended_at IS NULL AND sessions.id = session_id AND sessions.generation = runners.generation
RETURNING runners.id

-- name: recovered
-- What became of the runner before this one, if this transaction shows the one that takes its place. One that was put
-- away, or that people ended, was not lost; a slot that is newer than the loss was taken by who came back from being parked.
SELECT greatest(extract(epoch FROM now() - before.ended_at), 0)::float8 AS seconds,
       CASE WHEN before.exit_kind = 'fenced' THEN 'host' WHEN before.exit_kind <> 'lost' THEN 'agent'
            WHEN before.host = mine.host AND before.boot_id = mine.boot_id THEN 'terminal' ELSE 'host' END AS cause
FROM runners AS mine
JOIN LATERAL (SELECT * FROM runners WHERE session_id = mine.session_id AND generation < mine.generation
              ORDER BY generation DESC LIMIT 1) AS before ON true
JOIN admissions ON admissions.session_id = mine.session_id AND granted_at <= before.ended_at
WHERE mine.id = $1 AND mine.started_at = now() AND before.status = 'failed'

-- name: finish
UPDATE runners
SET status = $2, exit_code = $3, exit_kind = $4, exit_reason = $5, last_lines = $6, ended_at = $7
WHERE id = $1 AND ended_at IS NULL
RETURNING id

-- name: live
SELECT id AS runner_id, generation, host FROM runners WHERE session_id = $1 AND ended_at IS NULL AND started_at IS NOT NULL

-- name: end_unlaunched
UPDATE runners SET status = 'terminated', exit_reason = $2, ended_at = now()
WHERE session_id = $1 AND ended_at IS NULL AND started_at IS NULL

-- name: end_paused
-- A session that is put away for good has no paused runner any more.
UPDATE runners SET status = 'terminated' WHERE session_id = $1 AND status = 'paused'

-- name: live_of_host
SELECT runners.id AS runner_id, session_id::text, runners.generation, runners.status, pid, pid_ticks, wrapper_pid,
       wrapper_ticks, boot_id, activity, question, reply, prompted_at, turn_ended_at, turn_failed, sessions.agent_session_id, followed, started_at,
       sessions.agent, sessions.project_id::text, projects.name AS project
FROM runners
JOIN sessions ON sessions.id = session_id
JOIN projects ON projects.id = sessions.project_id
WHERE runners.host = $1 AND runners.ended_at IS NULL

-- name: adopt
-- Locks as flush does: one of the daemon before may still be under way.
WITH locked AS MATERIALIZED (
    SELECT id FROM sessions WHERE id IN (SELECT session_id FROM runners WHERE runners.id = ANY ($1::text[]))
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE runners SET watched_by = $2
WHERE id = ANY ($1::text[]) AND session_id = ANY (ARRAY(SELECT locked.id FROM locked))

-- name: is_current
SELECT EXISTS (SELECT FROM runners JOIN sessions ON sessions.id = session_id AND sessions.generation = runners.generation
               WHERE runners.id = $1 AND runners.ended_at IS NULL)

-- name: is_ended
SELECT ended_at IS NOT NULL FROM runners WHERE id = $1

-- name: ended_of
SELECT id FROM runners WHERE id = ANY ($1::text[]) AND ended_at IS NOT NULL

-- name: flush
-- What the monitor saw of many runners; an ended runner, or one of an old generation, is left as it is.
-- Sessions are locked before any runner, in the order of their ids, those of ended runners too: events of them may follow.
-- Each is locked once: whoever locks a row twice in a statement can wait for one who waits for the first lock.
WITH locked AS MATERIALIZED (
    SELECT id FROM sessions WHERE id IN (SELECT session_id FROM runners WHERE runners.id = ANY ($1::text[]))
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE runners SET activity = seen.activity,
                   activity_at = CASE WHEN runners.activity = seen.activity
                                           AND runners.question IS NOT DISTINCT FROM seen.question THEN activity_at ELSE now() END,
                   question = seen.question, reply = seen.reply, prompted_at = seen.prompted_at,
                   turn_ended_at = seen.turn_ended_at, turn_failed = seen.turn_failed,
                   followed = seen.followed,
                   memory_mb = coalesce(seen.memory_mb, runners.memory_mb),
                   cpu_percent = coalesce(seen.cpu_percent, runners.cpu_percent), attached = seen.attached
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::boolean[], $8::jsonb[],
            $9::float8[], $10::float8[], $11::boolean[])
         AS seen (id, activity, question, reply, prompted_at, turn_ended_at, turn_failed, followed, memory_mb, cpu_percent, attached),
     sessions
WHERE runners.id = seen.id AND runners.session_id = ANY (ARRAY(SELECT locked.id FROM locked)) AND runners.ended_at IS NULL
  AND sessions.id = runners.session_id AND sessions.generation = runners.generation
RETURNING runners.id, (SELECT sum(input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens)::bigint
                       FROM runners AS each WHERE each.session_id = runners.session_id) AS tokens

-- name: remember
UPDATE runners SET followed = known.followed FROM unnest($1::text[], $2::jsonb[]) AS known (id, followed)
WHERE runners.id = known.id AND ended_at IS NULL

-- name: remembered
SELECT followed FROM runners WHERE session_id = $1 AND generation < $2 AND started_at IS NOT NULL
ORDER BY generation DESC LIMIT 1

-- name: came_from_elsewhere
SELECT (SELECT host FROM runners AS last
        WHERE last.session_id = runners.session_id AND last.generation < runners.generation AND last.started_at IS NOT NULL
        ORDER BY last.generation DESC LIMIT 1) <> host
FROM runners WHERE id = $1

-- name: turn
SELECT runners.id AS runner_id, activity, activity_at, question, reply, prompted_at, turn_ended_at, turn_failed
FROM runners JOIN sessions ON sessions.id = session_id AND sessions.generation = runners.generation
WHERE session_id = $1 AND runners.ended_at IS NULL

-- name: views
SELECT runners.id AS runner_id, session_id::text, runners.generation, projects.name AS project, sessions.agent,
       sessions.model, runners.host, status,
       CASE WHEN runners.ended_at IS NOT NULL THEN 'idle' WHEN away.name IS NOT NULL THEN 'unknown' ELSE activity END AS activity, pid, started_at,
       input_tokens + output_tokens + cache_creation_tokens + cache_read_tokens AS tokens_used,
       cost_usd::float8, unpriced_tokens, memory_mb, cpu_percent, runners.ended_at, exit_kind, exit_code, exit_reason, last_lines,
       CASE WHEN runners.ended_at IS NULL AND away.name IS NULL THEN question END AS question, reply
FROM runners
JOIN sessions ON sessions.id = session_id
JOIN projects ON projects.id = sessions.project_id
LEFT JOIN hosts_away AS away ON away.name = runners.host
WHERE ($1::text IS NULL OR projects.name = $1) AND ($2 OR runners.ended_at IS NULL)
  AND ($3::uuid IS NULL OR session_id = $3)
ORDER BY runners.created_at, runners.id

-- name: counts
SELECT status, count(*) AS n FROM runners GROUP BY status

-- name: left_behind
SELECT runners.id AS runner_id, session_id::text, projects.name AS project, sessions.agent, sessions.cwd,
       coalesce(started_at, runners.created_at) AS began,
       ARRAY(SELECT DISTINCT agent_session_id FROM transcripts WHERE transcripts.session_id = sessions.id) AS conversations
FROM runners JOIN sessions ON sessions.id = session_id JOIN projects ON projects.id = project_id
WHERE runners.host = $1 AND exit_kind = 'fenced' AND NOT rest_counted AND runners.id <> ALL ($2::text[])
ORDER BY runners.ended_at LIMIT 50

-- name: rest_counted
UPDATE runners SET rest_counted = true WHERE id = $1

-- name: uncounted
-- By host that is back; one that is away is told of as such.
SELECT host, count(*) AS n FROM runners
WHERE exit_kind = 'fenced' AND NOT rest_counted AND ended_at < now() - interval '2 minutes'
  AND host IN (SELECT name FROM hosts WHERE lease_expires_at > now())
GROUP BY host ORDER BY host
