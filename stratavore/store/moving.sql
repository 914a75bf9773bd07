-- name: destinations
-- Hosts that take runners, the least loaded first.
SELECT name, count(runners.id) AS runners
FROM hosts LEFT JOIN runners ON runners.host = hosts.name AND ended_at IS NULL
WHERE lease_expires_at > now() AND NOT draining
GROUP BY name ORDER BY runners, name
