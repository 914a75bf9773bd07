-- What agents say and spend: their transcripts as written, messages to search, replies with their price.

-- What the session was launched with, as a LaunchSpec without its prompt: a later launch is given the same.
ALTER TABLE sessions ADD COLUMN launch jsonb NOT NULL DEFAULT '{}';

-- More of what a project's sessions are launched with.
ALTER TABLE projects
    ADD COLUMN permission_mode text,
    ADD COLUMN directories text[] NOT NULL DEFAULT '{}',      -- others that the agent may work in
    ADD COLUMN mcp_config text[] NOT NULL DEFAULT '{}';       -- files that name servers of the Model Context Protocol

ALTER TABLE runners
    DROP COLUMN offsets,
    ADD COLUMN followed jsonb NOT NULL DEFAULT '{}',          -- how far its hooks were read, and what was known then
    ADD COLUMN question text,                                 -- what it asks a person while it waits
    ADD COLUMN reply text,                                    -- its last words of the last turn that ended
    ADD COLUMN prompted_at timestamptz,                       -- when it took its last prompt, by its host's clock
    ADD COLUMN turn_ended_at timestamptz,
    ADD COLUMN turn_failed boolean NOT NULL DEFAULT false,    -- it ended by an error, which is its last words
    ADD COLUMN unpriced_tokens bigint NOT NULL DEFAULT 0;     -- of replies by models whose price is not known

ALTER TABLE runners ALTER COLUMN cost_usd TYPE numeric;      -- a token can cost less than a millionth of a dollar
ALTER TABLE runners
    ADD COLUMN unmetered_turns integer NOT NULL DEFAULT 0;    -- that ended, and nothing was found of what they cost

ALTER TABLE usage
    ALTER COLUMN cost_usd TYPE numeric,
    ADD COLUMN cache_creation_1h_tokens bigint NOT NULL DEFAULT 0;   -- the dearer part of cache_creation_tokens

CREATE TABLE transcripts (                                    -- a file that an agent writes its conversation to
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id       uuid NOT NULL REFERENCES sessions,
    agent_session_id text NOT NULL,
    subagent         boolean NOT NULL,
    name             text NOT NULL,                           -- of the file, without its directory: that differs between hosts
    path             text NOT NULL,                           -- where it was last read
    part             integer NOT NULL DEFAULT 0,              -- counts how often the file was begun anew
    read_to          bigint NOT NULL DEFAULT 0,               -- bytes that are stored: whole lines
    mark             bytea NOT NULL DEFAULT '',               -- digest of the last of them: a file that was replaced has others
    rows             bigint NOT NULL DEFAULT 0,
    unknown_rows     bigint NOT NULL DEFAULT 0,               -- of a kind that the adapter does not know
    created_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (session_id, agent_session_id, name, part)
);

CREATE TABLE transcript_chunks (                              -- its bytes, in order
    transcript_id bigint NOT NULL REFERENCES transcripts,
    start         bigint NOT NULL,
    content       bytea NOT NULL,                             -- packed by zlib; start counts bytes before that
    PRIMARY KEY (transcript_id, start)
);
ALTER TABLE transcript_chunks ALTER COLUMN content SET STORAGE EXTERNAL;

ALTER TABLE messages
    ADD COLUMN subagent boolean NOT NULL DEFAULT false,
    ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('english', left(text, 100000))) STORED;
CREATE INDEX messages_words ON messages USING gin (words);
CREATE INDEX messages_by_time ON messages (at);

-- Nobody waits for the outcome of a launch's prompt: a refusal is shown with its session.
CREATE INDEX requests_refused_prompts ON requests (session_id) WHERE kind = 'prompt' AND state = 'refused';
