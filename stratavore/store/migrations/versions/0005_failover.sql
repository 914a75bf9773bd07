-- Sessions that go on elsewhere when their host is lost, because they chose that (`sessions.failover`).

ALTER TABLE projects
    ADD COLUMN failover text NOT NULL DEFAULT 'wait' CHECK (failover IN ('wait', 'auto'));   -- of its new sessions, if nothing else is said

ALTER TABLE runners
    ADD COLUMN term bigint;                                   -- of its host's lease: it ends there with that. Null: it goes on without one
