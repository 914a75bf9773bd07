-- What runners wrote while their host was lost, and their sessions went on elsewhere: counted when it is back.

ALTER TABLE runners
    ADD COLUMN rest_counted boolean NOT NULL DEFAULT false;   -- of one that ended with its host's lease: its files were read to their ends

CREATE INDEX runners_left_behind ON runners (host) WHERE exit_kind = 'fenced' AND NOT rest_counted;
