-- Many hosts: which of them are away, what their machines have, and what becomes of the sessions of a lost one.

ALTER TABLE hosts
    ADD COLUMN away_since timestamptz,                        -- its lease ran out then, and its daemon has not found its runners again
    ADD COLUMN machine    jsonb;                              -- what it has, and how much of it is free

ALTER TABLE sessions
    ADD COLUMN failover text NOT NULL DEFAULT 'wait' CHECK (failover IN ('wait', 'auto'));   -- when its host is lost

ALTER TABLE projects
    ADD COLUMN host text;                                     -- where its sessions are launched, if nothing else is said

-- Hosts that nobody can speak for, with the time since when. A lease that ran out needs nobody to notice it; and a daemon that
-- is back says so itself, once it has found its runners.
CREATE VIEW hosts_away AS
SELECT name, coalesce(away_since, lease_expires_at) AS since
FROM hosts WHERE away_since IS NOT NULL OR lease_expires_at <= now();

-- What sessions are, for people and programs: `sessions.state` is what was recorded of one, and a session whose runner has no
-- recorded end is unreachable while its host is away.
CREATE VIEW session_states AS
SELECT sessions.id, sessions.generation,
       CASE WHEN away.name IS NULL THEN sessions.state ELSE 'unreachable' END AS state,
       away.name AS away_host, away.since AS away_since
FROM sessions
LEFT JOIN runners ON runners.session_id = sessions.id AND runners.generation = sessions.generation
                 AND runners.ended_at IS NULL AND sessions.state IN ('starting', 'running', 'recovering')
LEFT JOIN hosts_away AS away ON away.name = runners.host;
