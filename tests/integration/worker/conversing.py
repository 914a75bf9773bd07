"""An agent's files, written as Claude Code writes them, and a host that reads them, without any agent."""

import asyncio
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stratavore.paths import Home
from stratavore.runtime.processes import ProcessIdentity
from stratavore.runtime.rundir import RunDirectory
from stratavore.store.database import Database
from stratavore.store.runners import Followed
from tests.integration.store.steps import HOST, Session, Store
from worker.transcripts import Transcripts
from worker.watched import Watched

AT = "2026-06-01T12:00:00.000Z"
CONVERSATION = "6e2f3a4b-0000-4000-8000-000000000001"


def line(**given: Any) -> bytes:
    return json.dumps(given).encode() + b"\n"


def assistant(
    id_: str, output: int, *, text: str = "It is done", model: str = "claude-opus-4-5", at: str = AT, **usage: Any
) -> bytes:
    message = {
        "id": id_,
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}],
        "usage": {"input_tokens": 10, "output_tokens": output, **usage},
    }
    return line(type="assistant", uuid=str(uuid.uuid4()), timestamp=at, message=message)


def user(text: str) -> bytes:
    return line(type="user", uuid=str(uuid.uuid4()), timestamp=AT, message={"role": "user", "content": text})


class Agent:
    """The session's agent: what it has written, and who watches it."""

    def __init__(self, store: Store, home: Home, session: Session, directory: Path) -> None:
        self.store = store
        self.home = home
        self.session = session
        self.main = directory / f"{CONVERSATION}.jsonl"
        self.subagent = directory / CONVERSATION / "subagents" / "agent-a1.jsonl"
        self.subagent.parent.mkdir(parents=True)
        self.runner_id = ""
        self.following = asyncio.Lock()

    async def run(self) -> Watched:
        """Its next runner."""
        self.runner_id = (await self.store.placed(self.session)).runner_id
        return self.watched()

    def watched(self) -> Watched:
        """The current runner, as a monitor that has just begun knows it."""
        made = Watched(
            self.runner_id,
            self.session.session_id,
            self.session.project.project_id,
            self.session.project.name,
            "claude",
            ProcessIdentity(pid=0, start_ticks=0, boot_id=""),
            datetime.now(UTC),
            RunDirectory(self.home, self.runner_id),
        )
        made.entered[str(self.main)] = CONVERSATION
        return made

    def write(self, content: bytes, *, path: Path | None = None) -> None:
        """Append to the conversation, or to another file."""
        with (path or self.main).open("ab") as file:
            file.write(content)

    def reader(self, database: Database | None = None) -> Transcripts:
        """One who has read nothing yet."""
        return Transcripts(self.home, HOST, database or self.store.database, self.following)

    async def known(self) -> Followed:
        """What the next daemon would know of its runner."""
        (row,) = await self.store.fetch("SELECT followed FROM runners WHERE id = $1", self.runner_id)
        return Followed.model_validate(row["followed"])

    async def usage(self) -> dict[str, int]:
        """Output tokens by reply."""
        rows = await self.store.fetch(
            "SELECT message_id, output_tokens FROM usage WHERE session_id = $1", self.session.session_id
        )
        return {row["message_id"]: row["output_tokens"] for row in rows}


async def agent(store: Store, home: Home, directory: Path) -> Agent:
    """An agent of a new session, not running yet."""
    session = Session(await store.project(f"p{uuid.uuid4().hex[:8]}"))
    await store.admitted(session)
    directory.mkdir(parents=True, exist_ok=True)
    return Agent(store, home, session, directory)
