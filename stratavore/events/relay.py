import asyncio


class Relay:
    def __init__(self, dsn, broker, *, daemon_id, key):
        pass

    async def run(self):
        await asyncio.Event().wait()
