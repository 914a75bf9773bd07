-- name: renew
-- Two machines of one name would each take the other's runners for dead: the second one gets nothing.
-- One whose lease ran out stays away until its daemon has found its runners (`back`).
WITH before AS (SELECT lease_expires_at <= now() AS lapsed FROM hosts WHERE name = $1)
INSERT INTO hosts (name, daemon_id, state_directory, version, boot_id, machine, lease_expires_at)
VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))
ON CONFLICT (name) DO UPDATE
    SET daemon_id = excluded.daemon_id, state_directory = excluded.state_directory, version = excluded.version,
        boot_id = excluded.boot_id, renewed_at = now(), lease_expires_at = excluded.lease_expires_at,
        machine = coalesce(excluded.machine, hosts.machine),
        started_at = CASE WHEN hosts.daemon_id = excluded.daemon_id THEN hosts.started_at ELSE now() END,
        away_since = CASE WHEN hosts.lease_expires_at <= now() THEN coalesce(hosts.away_since, hosts.lease_expires_at)
                          ELSE hosts.away_since END
    WHERE hosts.state_directory = excluded.state_directory OR hosts.lease_expires_at <= now()
RETURNING coalesce((SELECT lapsed FROM before), true) AS lapsed, away_since

-- name: holder
SELECT state_directory, boot_id, version, extract(epoch FROM clock_timestamp() - renewed_at)::float8 AS renewed_s,
       extract(epoch FROM lease_expires_at - clock_timestamp())::float8 AS left_s
FROM hosts WHERE name = $1

-- name: is_served_by
SELECT EXISTS (SELECT FROM hosts WHERE name = $1 AND daemon_id = $2)

-- name: lost
-- A host whose lease ran out, and of which that has not been told. Of several who look, one gets it.
UPDATE hosts SET away_since = lease_expires_at
WHERE name = (SELECT name FROM hosts WHERE lease_expires_at <= now() AND away_since IS NULL
              ORDER BY name LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING name, away_since

-- name: found_again
-- Since when a host was away that is back; only its own daemon says so, and only while its lease is good.
SELECT away_since FROM hosts
WHERE name = $1 AND daemon_id = $2 AND lease_expires_at > now() AND away_since IS NOT NULL FOR UPDATE

-- name: end_absence
UPDATE hosts SET away_since = NULL WHERE name = $1

-- name: sessions
-- Those that stand and fall with a host: their current runner is on it, and has no recorded end.
SELECT session_id::text, runners.id AS runner_id, runners.generation, projects.name AS project, started_at IS NOT NULL AS launched
FROM runners
JOIN sessions ON sessions.id = session_id AND sessions.generation = runners.generation
JOIN projects ON projects.id = project_id
WHERE runners.host = $1 AND runners.ended_at IS NULL AND state IN ('starting', 'running', 'recovering')
ORDER BY session_id

-- name: lapsed
-- Of the other hosts, those whose lease is over; one that was renewed since is told by the time.
SELECT name, lease_expires_at FROM hosts WHERE lease_expires_at <= now() AND name <> $1

-- name: failing_over
-- Sessions of a host that chose not to wait for it, and whose agents end there without anybody's help (or never began), with
-- what they were launched with; for a host that takes runners, and while the lease ended then.
SELECT session_id::text, runners.id AS runner_id, runners.generation, projects.name AS project,
       runners.started_at IS NOT NULL AS launched
FROM runners
JOIN sessions ON sessions.id = session_id AND sessions.generation = runners.generation
JOIN projects ON projects.id = project_id
JOIN hosts ON hosts.name = runners.host AND lease_expires_at = $2 AND lease_expires_at <= now()
WHERE runners.host = $1 AND sessions.failover = 'auto' AND runners.ended_at IS NULL AND state IN ('starting', 'running', 'recovering')
  AND coalesce(launch->>'host', $3) = $3                      -- one that is to run on its host only waits for it
  AND (term IS NOT NULL OR runners.started_at IS NULL)
  AND EXISTS (SELECT FROM hosts WHERE name = $3 AND lease_expires_at > now() AND NOT draining)
ORDER BY session_id LIMIT $4

-- name: claim
-- It goes on there: where its last runner was is where the next one is placed.
UPDATE sessions SET host = $3, updated_at = now()
FROM runners JOIN hosts ON hosts.name = runners.host
WHERE runners.id = $1 AND sessions.id = session_id AND sessions.generation = runners.generation AND runners.ended_at IS NULL
  AND hosts.lease_expires_at = $2 AND lease_expires_at <= now()
RETURNING sessions.id

-- name: waiting
-- Sessions that have a slot and no runner: when a host is there for them, their workflows look again.
SELECT session_id::text FROM admissions JOIN sessions ON sessions.id = session_id
WHERE granted_at IS NOT NULL AND state IN ('queued', 'starting', 'recovering')
  AND NOT EXISTS (SELECT FROM runners WHERE runners.session_id = sessions.id AND runners.ended_at IS NULL)

-- name: none_open
-- Why no host takes a session's next runner.
WITH each AS (
    SELECT name, CASE WHEN name IN (SELECT name FROM hosts_away) THEN 'is away' ELSE 'is draining' END AS how FROM hosts
)
SELECT coalesce((SELECT 'it runs on ' || name || ' only, which ' || how
                 FROM each JOIN sessions ON launch->>'host' = name WHERE id = $1),
                (SELECT 'it goes on on ' || name || ', which ' || how
                 FROM each JOIN sessions ON host = name WHERE id = $1 AND state = 'recovering' AND failover = 'wait'),
                (SELECT 'no host takes new runners: ' || string_agg(name || ' ' || how, ', ' ORDER BY name) FROM each),
                'no host is up')

-- name: views
SELECT hosts.name AS host, away.name IS NULL AS up, coalesce(away.since, hosts.started_at) AS since, draining,
       extract(epoch FROM lease_expires_at - now())::float8 AS lease_s, version, machine, count(runners.id) AS runners,
       coalesce(sum(memory_mb), 0) AS memory_mb, coalesce(sum(cpu_percent), 0) AS cpu_percent
FROM hosts
LEFT JOIN hosts_away AS away ON away.name = hosts.name
LEFT JOIN runners ON runners.host = hosts.name AND ended_at IS NULL
WHERE $1::text IS NULL OR hosts.name = $1
GROUP BY hosts.name, away.name, away.since ORDER BY hosts.name

-- name: drain
UPDATE hosts SET draining = $2 WHERE name = $1 RETURNING name

-- name: delete
-- Only one that is away, and that nothing waits for any more.
DELETE FROM hosts
WHERE name = $1 AND lease_expires_at <= now() AND NOT EXISTS (SELECT FROM runners WHERE host = $1 AND ended_at IS NULL)
RETURNING name
