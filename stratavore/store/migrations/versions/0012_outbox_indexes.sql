-- What was delivered stays for days, and is most of the outbox: nobody who looks for something else reads it.

CREATE INDEX outbox_dead ON outbox (id) WHERE dead;
CREATE INDEX outbox_delivered ON outbox (delivered_at) WHERE delivered;
