import json
from datetime import datetime, UTC
from uuid import uuid4
async def append(connection, events, *, key):
    for e in events:
        seq = await connection.fetchval("SELECT last_sequence FROM sessions WHERE id=$1 FOR UPDATE", e.session_id)
        if await connection.fetchval("SELECT 1 FROM events WHERE session_id=$1 AND key=$2", e.session_id, e.key):
            continue
        i = uuid4()
        await connection.execute("INSERT INTO events VALUES ($1,$2,$3,$4,$5,$6,now(),$7,'')", i, e.session_id, seq+1, e.key, e.type, e.project, e.data)
        await connection.execute("INSERT INTO outbox(event_id, partition) VALUES ($1, 0)", i)
        await connection.execute("UPDATE sessions SET last_sequence=$2 WHERE id=$1", e.session_id, seq+1)
