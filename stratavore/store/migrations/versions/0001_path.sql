-- The first schema: sessions, runners, admission, events. Later parts (accounts, usage, messages) have their tables already,
-- so that a row written today keeps its key when they are built.

CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE hosts (
    name             text PRIMARY KEY,
    daemon_id        uuid NOT NULL,                       -- the daemon that renews the lease now
    state_directory  uuid NOT NULL,                       -- of that daemon; while the lease is good, no other one's may take it
    version          text NOT NULL,
    boot_id          text NOT NULL,
    started_at       timestamptz NOT NULL DEFAULT now(),
    renewed_at       timestamptz NOT NULL DEFAULT now(),
    lease_expires_at timestamptz NOT NULL,
    draining         boolean NOT NULL DEFAULT false
);

CREATE TABLE accounts (                                   -- whose plan an agent spends; provider limits are known per account
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    provider      text NOT NULL,
    name          text NOT NULL,
    limited_until timestamptz,
    limit_reason  text,
    UNIQUE (provider, name)
);

CREATE TABLE projects (
    id         uuid PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    path       text NOT NULL,
    agent      text NOT NULL,
    argv       text[] NOT NULL DEFAULT '{}',              -- what `stratavore P` launches when nothing else is said
    model      text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sessions (
    id                uuid PRIMARY KEY,
    project_id        uuid NOT NULL REFERENCES projects,
    agent             text NOT NULL,
    model             text,
    account_id        uuid REFERENCES accounts,
    agent_session_id  text NOT NULL,                      -- the agent's own id of the conversation; can change while it lives
    argv              text[] NOT NULL,
    cwd               text NOT NULL,
    state             text NOT NULL CHECK (state IN ('queued', 'starting', 'running', 'recovering', 'paused', 'limited',
                                                     'asking', 'parked', 'unreachable', 'ended')),
    reason            text,                               -- why it is parked, ended, limited, ...: one sentence
    generation        integer NOT NULL DEFAULT 0,         -- of the current runner; only grows
    host              text,                               -- where the current or last runner lives
    last_sequence     bigint NOT NULL DEFAULT 0,          -- of its newest event; taken under this row's lock
    incarnation       text NOT NULL,                      -- first run id of the workflow that owns it
    created_at        timestamptz NOT NULL DEFAULT now(),
    ended_at          timestamptz,
    updated_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sessions_by_project ON sessions (project_id, created_at DESC);
CREATE INDEX sessions_live ON sessions (state) WHERE state <> 'ended';

CREATE TABLE runners (
    id            text PRIMARY KEY,                       -- <session>.<generation>
    session_id    uuid NOT NULL REFERENCES sessions,
    generation    integer NOT NULL,
    step          text NOT NULL,                          -- the workflow's step that asked for it: a repeated step gets the same runner
    host          text NOT NULL,
    status        text NOT NULL CHECK (status IN ('starting', 'running', 'paused', 'terminated', 'failed')),
    activity      text NOT NULL DEFAULT 'starting' CHECK (activity IN ('starting', 'busy', 'waiting', 'idle', 'unknown')),
    activity_at   timestamptz NOT NULL DEFAULT now(),
    pid           integer,                                -- the agent's own
    pid_ticks     bigint,                                 -- its start time in clock ticks since boot: a recycled pid differs
    wrapper_pid   integer,
    wrapper_ticks bigint,
    boot_id       text,
    watched_by    uuid,                                   -- the daemon whose monitor watches it
    exit_code     integer,
    exit_kind     text,
    exit_reason   text,
    last_lines    text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    started_at    timestamptz,
    ended_at      timestamptz,
    memory_mb     double precision,
    cpu_percent   double precision,
    input_tokens          bigint NOT NULL DEFAULT 0,
    output_tokens         bigint NOT NULL DEFAULT 0,
    cache_creation_tokens bigint NOT NULL DEFAULT 0,
    cache_read_tokens     bigint NOT NULL DEFAULT 0,
    cost_usd      numeric(14, 6),
    offsets       jsonb NOT NULL DEFAULT '{}',            -- file → what was read of it, written with what was read
    UNIQUE (session_id, generation),
    UNIQUE (session_id, step)
);
CREATE INDEX runners_live ON runners (host) WHERE ended_at IS NULL;
CREATE INDEX runners_ended ON runners (ended_at DESC) WHERE ended_at IS NOT NULL;

CREATE TABLE steps (                                      -- what a step of a session's workflow did, to give the same answer again
    session_id uuid NOT NULL,
    step       text NOT NULL,
    result     jsonb NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (session_id, step)
);

CREATE TABLE limits (
    scope    text NOT NULL CHECK (scope IN ('global', 'project', 'session')),
    scope_id text NOT NULL DEFAULT '',
    name     text NOT NULL CHECK (name IN ('max_concurrent_runners', 'max_memory_mb', 'max_tokens_per_day')),
    value    bigint NOT NULL CHECK (value >= 0),
    set_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, scope_id, name)
);

CREATE TABLE admissions (                                 -- a session holds a slot or a place in the line, never both
    session_id uuid PRIMARY KEY REFERENCES sessions,
    project_id uuid NOT NULL REFERENCES projects,
    ticket     bigint GENERATED ALWAYS AS IDENTITY,       -- the order of the line; taken under the admission lock
    asked_at   timestamptz NOT NULL DEFAULT now(),
    granted_at timestamptz
);
CREATE INDEX admissions_line ON admissions (ticket) WHERE granted_at IS NULL;
CREATE INDEX admissions_line_of_project ON admissions (project_id, ticket) WHERE granted_at IS NULL;
CREATE INDEX admissions_held ON admissions (project_id) WHERE granted_at IS NOT NULL;

CREATE TABLE requests (                                   -- commands whose effect is not a state: text typed into an agent
    id         uuid PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES sessions,
    kind       text NOT NULL,
    state      text NOT NULL CHECK (state IN ('doing', 'done', 'refused')),
    detail     text,
    at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE events (                                     -- the signed record, append-only
    id         uuid PRIMARY KEY,
    session_id uuid,                                      -- null: about the system
    sequence   bigint NOT NULL,                           -- within its session
    key        text NOT NULL,                             -- what implies it; the same cause twice is one event
    type       text NOT NULL,
    project    text NOT NULL,
    time       timestamptz NOT NULL,
    data       jsonb NOT NULL,
    signature  text NOT NULL                              -- HMAC-SHA256, see stratavore/events/envelope.py
);
CREATE UNIQUE INDEX events_order ON events (session_id, sequence) WHERE session_id IS NOT NULL;
CREATE UNIQUE INDEX events_cause ON events (session_id, key) WHERE session_id IS NOT NULL;
CREATE UNIQUE INDEX events_system_cause ON events (key) WHERE session_id IS NULL;
CREATE INDEX events_by_time ON events (time);

CREATE FUNCTION events_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION events_are_append_only();
CREATE TRIGGER events_never_truncated BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_are_append_only();

CREATE TABLE outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id     uuid NOT NULL UNIQUE REFERENCES events,
    partition    smallint NOT NULL,                       -- of its session: all its events go through one relay at a time
    delivered    boolean NOT NULL DEFAULT false,
    delivered_at timestamptz,
    attempts     integer NOT NULL DEFAULT 0,
    dead         boolean NOT NULL DEFAULT false,          -- refused by the broker; kept, and alerted
    error        text
);
CREATE INDEX outbox_pending ON outbox (partition, id) WHERE NOT delivered AND NOT dead;

-- What one who records events must know first: the sessions, locked until the transaction ends, in the order of their ids
-- (not FOR UPDATE: rows that refer to a session may still be written beside it), and which of the causes are recorded.
-- The second statement sees what those committed who held the locks: in a function each one takes a new snapshot.
CREATE FUNCTION events_begin(
    about uuid[], causes text[], OUT sessions text[], OUT sequences bigint[], OUT known bigint[], OUT moment timestamptz
) LANGUAGE plpgsql AS $$
BEGIN
    SELECT array_agg(locked.id::text), array_agg(locked.last_sequence) INTO sessions, sequences
    FROM (SELECT s.id, s.last_sequence FROM sessions AS s WHERE s.id = ANY (about) ORDER BY s.id FOR NO KEY UPDATE) AS locked;
    SELECT array_agg(position), clock_timestamp() INTO known, moment
    FROM unnest(about, causes) WITH ORDINALITY AS wanted (session_id, key, position)
    WHERE EXISTS (SELECT FROM events WHERE events.session_id = wanted.session_id AND events.key = wanted.key)
       OR wanted.session_id IS NULL
          AND EXISTS (SELECT FROM events WHERE events.session_id IS NULL AND events.key = wanted.key);
END $$;

CREATE TABLE usage (                                      -- each reply an agent recorded, once
    session_id            uuid NOT NULL REFERENCES sessions,
    message_id            text NOT NULL,
    runner_id             text NOT NULL REFERENCES runners,
    model                 text,
    at                    timestamptz NOT NULL,
    input_tokens          bigint NOT NULL,
    output_tokens         bigint NOT NULL,
    cache_creation_tokens bigint NOT NULL,
    cache_read_tokens     bigint NOT NULL,
    cost_usd              numeric(14, 6),
    PRIMARY KEY (session_id, message_id)
);

CREATE TABLE messages (                                   -- conversations, to read and to search
    session_id uuid NOT NULL REFERENCES sessions,
    message_id text NOT NULL,
    at         timestamptz NOT NULL,
    role       text NOT NULL,
    text       text NOT NULL,
    embedding  vector(384),                               -- for search by meaning
    PRIMARY KEY (session_id, message_id)
);
