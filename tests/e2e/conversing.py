"""Sessions of the real Claude Code under a real daemon, against a Messages API on the loopback."""

import asyncio
import json
import os
import signal
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cli.client import Unanswered
from stratavore.environment import write_environment
from stratavore.runtime.tmux import Tmux
from tests.claude_code.messages import Kind
from tests.claude_code.messages_api import MessagesApi
from tests.claude_code.program import PrivateHome
from tests.support.daemon import DaemonProcess
from tests.support.waiting import PATIENCE_SECONDS, answer


@dataclass
class Conversations:
    """One person's sessions in one project."""

    daemon: DaemonProcess
    api: MessagesApi
    trusted: bool = True
    subscribed: bool = False
    """They spend a plan, and have no key."""
    project: str = field(default_factory=lambda: f"p{uuid.uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.user = PrivateHome(self.daemon.home.root / "user")
        self.site = self.daemon.home.root / "site"

    async def create(self, *allowed: str) -> None:
        """Make the project, in which these tools may be used unasked."""
        self.site.mkdir()
        self.user.create(*([self.site] if self.trusted else []))
        await self.daemon.call(
            "create_project",
            name=self.project,
            path=str(self.site),
            agent="claude",
            permission_mode="default",
            argv=["--settings", json.dumps({"permissions": {"allow": allowed}})] if allowed else [],
        )

    async def launch(
        self,
        *,
        environment: Mapping[str, str] = MappingProxyType({}),
        state: str = "running",
        timeout: float = PATIENCE_SECONDS,
        **params: Any,
    ) -> str:
        """A new session, running. Returns its id."""
        session = str(uuid.uuid4())
        given = {**self.user.environment(self.api.url, subscribed=self.subscribed), **environment}
        write_environment(self.daemon.home.session_environment(session), given)
        await self.daemon.call("launch", project=self.project, session_ids=[session], **params)
        await self.daemon.wait(session, state, timeout=timeout)
        return session

    async def runner(self, session: str) -> dict[str, Any]:
        """The session's current runner."""
        found: list[dict[str, Any]] = await self.daemon.call("session_runners", session_id=session)
        return found[-1]

    async def does(self, session: str, *activities: str, timeout: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The session's runner once it does one of these; through deaths of the daemon."""
        latest: dict[str, Any] = {}

        async def ask() -> dict[str, Any]:
            nonlocal latest
            try:
                latest = await self.runner(session)
            except Unanswered:
                return {}
            return latest if latest["activity"] in activities and latest["ended_at"] is None else {}

        try:
            return await answer(ask, timeout, f"{activities}")
        except AssertionError as error:
            screen = await self.screen(latest["runner_id"]) if latest else ""
            raise AssertionError(f"{error}: {latest}\n{screen}\n{self.daemon.tail()}") from None

    async def say(self, session: str, text: str, **params: Any) -> str:
        """Send a text. Returns the request's id."""
        request_id = str(uuid.uuid4())
        await self.daemon.call("send", target=session, text=text, request_id=request_id, **params)
        return request_id

    async def reply(self, session: str, request_id: str) -> dict[str, Any]:
        """What came of it."""
        found: dict[str, Any] = await self.daemon.call("reply", session_id=session, request_id=request_id, timeout_s=50)
        return found

    async def ask(self, session: str, text: str) -> str:
        """Send a text, and return the reply."""
        found = await self.reply(session, await self.say(session, text))
        assert found["state"] == "answered", found
        return str(found["text"])

    async def screen(self, runner_id: str) -> str:
        """What a person who attaches sees."""
        (row,) = await self.daemon.fetch("SELECT id::text FROM projects WHERE name = $1", self.project)
        return await Tmux(self.daemon.home).capture(row["id"], runner_id) or ""

    async def kill(self, session: str) -> None:
        """``kill -9`` of the agent."""
        os.kill((await self.runner(session))["pid"], signal.SIGKILL)
        await asyncio.sleep(0)

    @property
    def asked(self) -> list[list[str]]:
        """The texts of each request of the main conversation."""
        return [one.asked.texts for one in self.api.sent if one.asked.kind is Kind.MAIN]

    def transcript(self, session: str) -> Path:
        """The file of a conversation."""
        (found,) = self.user.transcripts.glob(f"*/{session}.jsonl")
        return found
