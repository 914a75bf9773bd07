-- name: renew
INSERT INTO hosts (name, daemon_id, version, boot_id, lease_expires_at)
VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))
ON CONFLICT (name) DO UPDATE
    SET daemon_id = excluded.daemon_id, version = excluded.version, boot_id = excluded.boot_id, renewed_at = now(),
        lease_expires_at = excluded.lease_expires_at,
        started_at = CASE WHEN hosts.daemon_id = excluded.daemon_id THEN hosts.started_at ELSE now() END
