-- name: renew
-- Two machines of one name would each take the other's runners for dead: the second one gets nothing.
INSERT INTO hosts (name, daemon_id, state_directory, version, boot_id, lease_expires_at)
VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
ON CONFLICT (name) DO UPDATE
    SET daemon_id = excluded.daemon_id, state_directory = excluded.state_directory, version = excluded.version,
        boot_id = excluded.boot_id, renewed_at = now(), lease_expires_at = excluded.lease_expires_at,
        started_at = CASE WHEN hosts.daemon_id = excluded.daemon_id THEN hosts.started_at ELSE now() END
    WHERE hosts.state_directory = excluded.state_directory OR hosts.lease_expires_at <= now()
RETURNING name

-- name: views
SELECT hosts.name AS host, lease_expires_at > now() AS up, version, count(runners.id) AS runners,
       coalesce(sum(memory_mb), 0) AS memory_mb, coalesce(sum(cpu_percent), 0) AS cpu_percent
FROM hosts LEFT JOIN runners ON runners.host = hosts.name AND ended_at IS NULL
GROUP BY hosts.name ORDER BY hosts.name
