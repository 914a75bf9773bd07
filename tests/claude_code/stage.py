"""One conversation with the real program in a real terminal, started as the product starts it, and watched."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stratavore.agents.adapter import Start
from stratavore.agents.registry import adapter_for
from stratavore.models.session import LaunchSpec
from stratavore.models.states import Activity
from stratavore.paths import Home
from stratavore.runtime.host import RunnerHost
from stratavore.runtime.rundir import RunDirectory, RunSpec
from stratavore.runtime.tmux import Tmux, target
from tests.claude_code.corpus import Seen, Truth
from tests.claude_code.messages_api import MessagesApi
from tests.claude_code.program import PrivateHome

SAMPLE_SECONDS = 0.1
PERSON_SECONDS = 0.6
"""Between two steps of a person."""
WAIT_SECONDS = 40.0
BOX = r"(?m)^─+ *\n❯[^\n]*\n(?:[^\n]*\n){0,20}?─+ *$"
"""The input box is there."""
_PROJECT = "0a0a0a0a-0000-4000-8000-000000000000"


@dataclass
class Stage:
    """The program, its terminal, its API and what was seen of them. ``directory`` holds all of it."""

    directory: Path
    api: MessagesApi
    trusted: bool = True
    subscribed: bool = False
    session_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    seen: list[Seen] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    generation: int = 0

    def __post_init__(self) -> None:
        self.user = PrivateHome(self.directory / "user")
        self.site = self.directory / "site"
        self.site.mkdir(parents=True)
        self.user.create(*([self.site] if self.trusted else []))
        self.home = Home(self.directory / "state")
        self.home.create()
        self.tmux = Tmux(self.home)
        self.host = RunnerHost(self.home, self.tmux)

    @property
    def runner_id(self) -> str:
        """The runner that was started last."""
        return f"{self.session_id}.{self.generation}"

    @property
    def run(self) -> RunDirectory:
        """Its directory."""
        return RunDirectory(self.home, self.runner_id)

    async def start(
        self,
        *words: str,
        resume: bool = False,
        mode: str | None = "default",
        agent_session_id: str | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Start the program, or start it again with its conversation; ``mode``: of permissions."""
        self.generation += 1
        adapter = adapter_for("claude")
        spec = LaunchSpec(agent="claude", argv=words, cwd=str(self.site), permission_mode=mode)
        given = self.user.environment(self.api.url, subscribed=self.subscribed)
        start = Start(self.session_id, agent_session_id or self.session_id, resume, self.run.path, given)
        plan = adapter.plan(spec, start)
        run_spec = RunSpec(
            runner_id=self.runner_id,
            session_id=self.session_id,
            project_id=_PROJECT,
            project="site",
            agent="claude",
            generation=self.generation,
            argv=plan.argv,
            cwd=spec.cwd,
            cols=120,
            rows=40,
        )
        self.truth(Activity.STARTING)
        await self.host.launch(run_spec, {**given, **plan.environment, **environment}, plan.files)

    def truth(self, activity: Activity | None, question: str | None = None, at: float | None = None) -> None:
        """From now on, or from ``at`` on (Unix time), this is what the program does; None: it is dead."""
        self.truths.append(Truth(time.time() if at is None else at, activity, question))

    async def ready(self) -> None:
        """Wait for the input box, which is what ends the start."""
        await self.shows(BOX)
        self.truth(Activity.IDLE)

    async def begin(self, *words: str) -> None:
        """Start the program and wait until it takes a prompt."""
        await self.start(*words)
        await self.ready()
        await asyncio.sleep(PERSON_SECONDS)

    async def turn(self, text: str) -> None:
        """Type a prompt and send it off."""
        await self.command(text, Activity.BUSY)

    async def command(self, text: str, then: Activity | None = None) -> None:
        """Type text and Enter, after which the program is ``then``."""
        await self.paste(text)
        await asyncio.sleep(PERSON_SECONDS)
        if then:
            self.truth(then)
        await self.press("Enter")

    async def idle_after(self, answers: int) -> None:
        """The program is idle from when the API has given so many answers; leave it so for a moment."""
        self.truth(Activity.IDLE, at=await self.answered(answers))
        await asyncio.sleep(PERSON_SECONDS)

    async def paste(self, text: str) -> None:
        """Type text as the product does."""
        await self.tmux.type_text(_PROJECT, self.runner_id, text, enter=False)

    async def press(self, *keys: str) -> None:
        """Press keys by the names that tmux has for them."""
        socket = str(self.home.tmux_socket(_PROJECT))
        words = ["tmux", "-u", "-S", socket, "send-keys", "-t", target(self.runner_id), *keys]
        process = await asyncio.create_subprocess_exec(*words)
        assert await process.wait() == 0

    async def screen(self) -> str:
        """The screen now; empty without a terminal."""
        text = await self.tmux.capture(_PROJECT, self.runner_id) or ""
        if not self.seen or self.seen[-1].text != text:
            self.seen.append(Seen(time.time(), text))
        return text

    async def shows(self, pattern: str, timeout: float = WAIT_SECONDS) -> str:
        """Wait until the screen matches."""
        deadline = time.monotonic() + timeout
        while not re.search(pattern, shown := await self.screen()):
            assert time.monotonic() < deadline, f"{pattern} is not shown:\n{shown}\n{self.told()}"
            await asyncio.sleep(SAMPLE_SECONDS / 2)
        return shown

    def hooks(self) -> list[dict[str, Any]]:
        """What the hooks of all runners were given; bodies that were cut are left out."""
        found = []
        for generation in range(1, self.generation + 1):
            file = RunDirectory(self.home, f"{self.session_id}.{generation}").hooks
            for line in file.read_text().splitlines() if file.exists() else []:
                at, _, body = line.partition(" ")
                try:
                    found.append({"at": float(at), **json.loads(body)})
                except ValueError:
                    found.append({"at": float(at), "cut": body})
        return found

    def told(self) -> list[str]:
        """The names of the hooks that fired."""
        return [one.get("hook_event_name", "?") for one in self.hooks()]

    async def hook(self, name: str, count: int = 1, timeout: float = WAIT_SECONDS) -> dict[str, Any]:
        """Wait until a hook has fired so often; returns what it was given then."""
        deadline = time.monotonic() + timeout
        while len(found := [one for one in self.hooks() if one.get("hook_event_name") == name]) < count:
            assert time.monotonic() < deadline, f"no {name} but {self.told()}\n{await self.screen()}"
            await asyncio.sleep(0.05)
        return found[count - 1]

    async def answered(self, count: int) -> float:
        """Wait until so many answers were given to their end or broken off; returns when the last one was."""
        await self.api.until(lambda: sum(one.ended_at is not None for one in self.api.sent) >= count, WAIT_SECONDS)
        return max(one.ended_at or 0 for one in self.api.sent)

    async def kill(self) -> None:
        """``kill -9``."""
        agent = self.run.agent()
        assert agent is not None
        os.kill(agent.pid, signal.SIGKILL)
        await self.gone()

    async def gone(self) -> int:
        """Wait until the program has ended by itself; returns its exit code."""
        deadline = time.monotonic() + WAIT_SECONDS
        while (record := self.run.exit()) is None:
            assert time.monotonic() < deadline, await self.screen()
            await asyncio.sleep(0.02)
        self.truth(None, at=record.at.timestamp())
        await self.screen()
        return record.code

    async def _sample(self) -> None:
        while True:
            if self.generation:
                await self.screen()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _end(self) -> None:
        if self.generation:
            await self.host.stop(self.runner_id, _PROJECT, grace=1, force=True)
        socket = self.home.tmux_socket(_PROJECT)
        subprocess.run(["tmux", "-S", str(socket), "kill-server"], capture_output=True, check=False)
        shutil.rmtree(self.home.sockets, ignore_errors=True)


@asynccontextmanager
async def staged(stage: Stage) -> AsyncIterator[Stage]:
    """Watch the stage for as long as the block runs; nothing of it runs on afterwards."""
    sampling = asyncio.create_task(stage._sample())
    try:
        yield stage
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
        await stage._end()
