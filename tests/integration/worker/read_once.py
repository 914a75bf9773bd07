"""Reads, or restores, an agent's files once, as a process that a test may let die at a point."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from stratavore.agents.registry import adapter_for
from stratavore.paths import Home
from stratavore.restore import restore
from stratavore.runtime.processes import ProcessIdentity
from stratavore.runtime.rundir import RunDirectory
from stratavore.store.database import Database
from tests.integration.store.steps import HOST, KEY
from tests.integration.worker.conversing import CONVERSATION
from worker.transcripts import Transcripts
from worker.watched import Watched


async def main(what: str, dsn: str, home: Home, runner_id: str, path: Path) -> None:
    database = await Database.open(dsn, KEY)
    session_id = runner_id.partition(".")[0]
    if what == "restore":
        async with database.pool.acquire() as connection:
            await restore(connection, adapter_for("claude"), session_id, CONVERSATION, path)
        return
    nobody = ProcessIdentity(pid=0, start_ticks=0, boot_id="")
    run = RunDirectory(home, runner_id)
    watched = Watched(runner_id, session_id, "", "", "claude", nobody, datetime.now(UTC), run)
    watched.entered[str(path)] = CONVERSATION
    await Transcripts(home, HOST, database, asyncio.Lock()).drain(watched)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Home(Path(sys.argv[3])), sys.argv[4], Path(sys.argv[5])))
