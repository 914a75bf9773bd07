"""What people do meanwhile: sessions of three kinds of agents, and the commands of the plan."""

import asyncio
import os
import pty
import shutil
import signal
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cli.client import Unanswered, call
from setup.claude_code import program as claude_code
from stratavore.environment import write_environment
from stratavore.errors import EXIT_NOT_FOUND, EXIT_REFUSED, EXIT_UNAVAILABLE, RemoteError
from tests.chaos.harness.host import Host
from tests.chaos.harness.record import Harm, Prompt, Record, Session
from tests.chaos.harness.schedule import Command, Step
from tests.claude_code.program import PrivateHome
from tests.support.command_line import PROGRAM

_HERE = Path(__file__).parent
_TRIES = 6
_EFFECT_SECONDS = 90.0
_TAKEN = "taken"
_FAILOVER = 3
"""One in so many sessions does not wait for a lost host."""
_LIGHT_PART = 0.6
"""Of the sessions beside the real ones, how many converse."""


class Workload:
    """The sessions, and what is done with them."""

    def __init__(self, hosts: Sequence[Host], record: Record, *, sessions: int, real: int, messages_url: str) -> None:
        self._hosts = hosts
        self._record = record
        self._counts = {"claude": real, "light": int((sessions - real) * _LIGHT_PART)}
        self._counts["notes"] = sessions - sum(self._counts.values())
        first = hosts[0].home.root
        self._root = first.with_name(f"{first.name}.user")
        self._users = {host.name: PrivateHome(self._root / f"user-{host.name}") for host in hosts}
        self._url = messages_url
        self._notes = self._root / "kept"
        self._attached: list[subprocess.Popen[bytes]] = []
        self._turn = 0
        self._at_once = asyncio.Semaphore(4)

    async def begin(self) -> None:
        """Make the projects, their limits, and the sessions. More are wanted than fit, so that some wait."""
        sites = {kind: self._root / kind for kind in self._counts}
        for site in (*sites.values(), self._notes):
            site.mkdir(parents=True)
        for user in self._users.values():
            user.create(sites["claude"])
        self._program(sites["light"])
        agent, first = {"agent": "claude"}, self._hosts[0]
        await _ask(first, "create_project", name="claude", path=str(sites["claude"]), **agent)
        await _ask(first, "create_project", name="light", path=str(sites["light"]), **agent)
        argv = ["/bin/sh", str(_HERE / "notes_agent.sh"), str(self._notes)]
        await _ask(first, "create_project", name="notes", path=str(sites["notes"]), argv=argv)
        total = sum(self._counts.values())
        limits = {"": max(2, total - total // 6), "notes": max(1, self._counts["notes"] - self._counts["notes"] // 6)}
        for project, value in limits.items():
            await _ask(first, "set_quota", project=project or None, name="max_concurrent_runners", value=value)
        self._record.limits = limits
        for kind, count in self._counts.items():
            for number in range(count):
                await self.launch(kind, self._hosts[number % len(self._hosts)], failover=number % _FAILOVER == 1)

    def _program(self, light: Path) -> None:
        """A ``claude`` that is the real one, or a light one in its project's directory."""
        program = self._root / "bin" / "claude"
        program.parent.mkdir()
        program.write_text(
            f'#!/bin/sh\n[ "$PWD" != {light} ] || exec {sys.executable} -S -E {_HERE / "light_claude.py"} "$@"\n'
            f'exec {claude_code()} "$@"\n'
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def environment(self, host: Host) -> dict[str, str]:
        """What agents get on a host: a home of its own, and the way to the programs."""
        given = self._users[host.name].environment(self._url)
        return given | {"PATH": f"{self._root / 'bin'}:{given['PATH']}"}

    async def launch(self, kind: str, host: Host, *, failover: bool) -> None:
        """A new session. Placed on another host than this one, its agent gets the environment of that daemon."""
        session = Session(str(uuid.uuid4()), kind, kind, failover=failover and len(self._hosts) > 1)
        write_environment(host.home.session_environment(session.id), self.environment(host))
        options = {"failover": "auto" if session.failover else "wait"}
        await _ask(host, "launch", project=kind, session_ids=[session.id], options=options)
        self._record.sessions[session.id] = session

    async def do(self, step: Step) -> str:
        """Do one command. Returns what was done, for people; empty if there is nobody to do it to."""
        if step.what is Command.LAUNCH:
            kind = ("notes", "light")[step.pick < _LIGHT_PART]
            await self.launch(kind, self._host(step), failover=int(step.pick * 1000) % _FAILOVER == 1)
            return f"a session of {kind}"
        if step.what is Command.SEND and self._at_once.locked():
            return ""  # people are busy enough
        session = self._choose(step)
        if session is None:
            return ""
        if step.what is Command.ATTACH:
            await self._attach(session, self._host(step), step.seconds)
            return session.id
        session.busy = True
        try:
            async with self._at_once:
                if step.what is Command.SEND:
                    return f"{session.id}: {await self._send(session, self._host(step), step.pick)}"
                return f"{session.id}: {await self._put(session, self._host(step), Command(step.what))}"
        finally:
            session.busy = False

    async def send(self, session: Session, word: str) -> bool:
        """Send a text of its own. Returns whether it was taken."""
        return await self._send(session, self._hosts[0], word=word) == _TAKEN

    async def _send(self, session: Session, host: Host, pick: float = 0.0, word: str = "Prompt") -> str:
        self._turn += 1
        text = f"{word} {self._turn} {int(pick * 1e6)}."
        code, said = await _run(host, "send", session.id, text)
        session.prompts.append(Prompt(text, taken=code == 0))
        return _TAKEN if code == 0 else f"{text} {said}"

    def end(self) -> None:
        """Nobody watches any more."""
        for process in self._attached:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def notes(self) -> dict[str, list[str]]:
        """What agents of the kind ``notes`` kept."""
        return {file.name: file.read_text().splitlines() for file in self._notes.iterdir()}

    @property
    def transcripts(self) -> Sequence[Path]:
        """Where agents write their conversations, on each host."""
        return [user.transcripts for user in self._users.values()]

    def remove(self) -> None:
        """Delete what people had."""
        shutil.rmtree(self._root, ignore_errors=True)

    def _choose(self, step: Step) -> Session | None:
        """Somebody that the command fits, with nothing else under way."""
        wanted = {Command.RESUME: ("paused",), Command.KILL: ("running", "paused")}.get(
            Command(step.what), ("running",)
        )
        rows = (self._record.samples[-1].rows or {}) if self._record.samples else {}
        fit = [
            session
            for session in self._record.sessions.values()
            if session.meant in wanted and not session.busy and (session.kind != "claude" or step.what != Command.KILL)
            if session.id in rows and rows[session.id].state in (*wanted, "recovering")
        ]
        return fit[int(step.pick * len(fit))] if fit else None

    async def _put(self, session: Session, host: Host, command: Command) -> str:
        """Pause, resume, restart or kill: asked again until there is an answer, as people do."""
        began = time.time()
        words = [command.value, session.id, *(["--force"] if command is Command.KILL else [])]
        cut = 0
        try:
            for _ in range(_TRIES):
                code, said = await _run(host, *words)
                if code == 0:
                    session.meant = _AFTER.get(command, session.meant)
                    return "done"
                if code in (EXIT_REFUSED, EXIT_NOT_FOUND):
                    # The answer to an earlier try may be lost, and what it did is done.
                    session.meant = "unsure" if cut and command in _AFTER else session.meant
                    return f"refused: {said}"
                cut += 1
                await asyncio.sleep(1.0)
            session.meant = "unsure" if command in _AFTER else session.meant
            return f"cut: {said}"
        finally:
            if command is not Command.RESUME:
                await self._takes_effect(session, command, began, cut)

    async def _takes_effect(self, session: Session, command: Command, began: float, cut: int) -> None:
        """Wait until it is seen; until then it may end the agent, since it is kept while nobody is up.

        Each try whose answer was cut (``cut`` of them) may have been heard, and restarts whoever runs by then.
        """
        seen = [one.rows for one in self._record.samples if one.rows and one.at <= began]
        before = seen[-1][session.id].generation if seen and session.id in seen[-1] else 0
        harm = Harm(began, float("inf"), command, frozenset({session.id}))
        self._record.harms.append(harm)
        deadline = time.time() + _EFFECT_SECONDS
        while time.time() < deadline:
            row = (self._record.last.rows or {}).get(session.id)
            if row and (row.state == _AFTER.get(command) or (command not in _AFTER and row.generation > before + cut)):
                break
            await asyncio.sleep(0.5)
        self._record.harms[self._record.harms.index(harm)] = Harm(began, time.time(), command, harm.sessions)

    async def _attach(self, session: Session, host: Host, seconds: float) -> None:
        """Watch it in a terminal, and close the terminal without a word."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [str(PROGRAM), "attach", session.id],
            env={**host.environment, "TERM": "xterm"},
            cwd=host.home.root.parent,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._attached.append(process)
        os.set_blocking(ours, False)
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end and process.poll() is None:
                with suppress(BlockingIOError, OSError):
                    os.read(ours, 65536)
                await asyncio.sleep(0.1)
        finally:
            os.close(ours)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)
            self._attached.remove(process)

    def _host(self, step: Step) -> Host:
        return self._hosts[int(step.where * len(self._hosts))]


_AFTER = {Command.PAUSE: "paused", Command.RESUME: "running", Command.KILL: "ended"}


async def _run(host: Host, *words: str) -> tuple[int, str]:
    """A command on a host to its end: its exit code, and what it says."""
    result = await host.command_line(*words)
    return result.code, (result.err or result.out).strip()


async def _ask(host: Host, method: str, **params: Any) -> Any:
    """A call of the daemon, made until it answers; the ids in it make that harmless."""
    while True:
        try:
            return await asyncio.to_thread(call, host.home.api_socket, method, params, 30)
        except Unanswered:
            await asyncio.sleep(0.2)
        except RemoteError as error:
            if error.code == "project_exists":
                return None
            if error.exit_code != EXIT_UNAVAILABLE:  # else what it needs is away for now
                raise
            await asyncio.sleep(0.5)
