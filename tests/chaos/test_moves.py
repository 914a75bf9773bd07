"""And if a daemon dies here? Asked of every step of a move, of the host that is left and of the one that is moved to.

The daemon that dies is found dead, and started again; at the end the session runs once, where it was to go.
"""

import asyncio
import signal
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import pytest

from cli.client import Unanswered
from stratavore.errors import RemoteError
from tests.integration.worker.conversing import assistant
from tests.support.hosts import HostProcess, Hosts
from tests.support.processes import marked
from tests.support.waiting import PATIENCE_SECONDS, answer, until

PROGRAM = "its-agent"
"""Each host has its own; it notes who began."""
SCRIPT = """#!/bin/sh
echo "$STRATAVORE_RUNNER_ID" >>runs
exec cat
"""

CLAUDE = """#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in --session-id|--resume) id=$2 ;; esac
    shift
done
directory=$HOME/.claude/projects/$(pwd | tr -c 'A-Za-z0-9\\n' -)
mkdir -p "$directory"
cat "$HOME/says" >>"$directory/$id.jsonl"
exec cat
"""
"""Begins a conversation, or goes on with it, as Claude Code does."""

ON_THE_WAY = (
    ("control.signal.before", "source"),
    ("control.signal.after", "source"),
    ("receive.before", "target"),
    ("receive.after", "target"),
    ("stop.signal.before", "source"),
    ("monitor.complete.before", "source"),
    ("monitor.complete.after", "source"),
    ("record.before", "either"),
    ("record.after", "either"),
    ("place.before", "either"),
    ("place.after", "either"),
    ("launch.tmux.before", "target"),
    ("launch.tmux.after", "target"),
    ("launch.run.before", "target"),
    ("launch.run.after", "target"),
)


class Move:
    """A session on one of two hosts, whose daemons die and are started again."""

    def __init__(self, source: HostProcess, target: HostProcess) -> None:
        self.source = source
        self.target = target
        self.deaths = 0
        self.session = ""

    async def begin(self, directory: Path) -> None:
        """Have it run on the source."""
        for host in (self.source, self.target):
            host.programs.mkdir()
            program = host.programs / PROGRAM
            program.write_text(SCRIPT)
            program.chmod(0o755)
        await self.source.start()
        await self.target.start()
        (self.session,) = await self.source.launch(await self.source.project([PROGRAM], directory))
        assert (await self.source.wait(self.session, "running"))["host"] == self.source.host

    async def arm(self, who: str, point: str) -> None:
        """Let daemons die at a point: the one of that host, or whoever of both reaches it."""
        for name, host in (("source", self.source), ("target", self.target)):
            if who in (name, "either"):
                host.kill()
                await host.start(kill_at=point)

    async def revive(self) -> None:
        """Start who died again; it does not die once more."""
        for host in (self.source, self.target):
            if host.ended:
                assert host.end() == -signal.SIGKILL, host.tail()
                self.deaths += 1
                await host.start()

    async def ask(self) -> str:
        """Ask for the move until it is heard. Returns the id of the session's own request."""
        request = str(uuid.uuid4())
        while True:
            try:
                await self.source.call("move", target=self.session, request_id=request, host=self.target.host)
            except Unanswered:
                await self.revive()
                continue
            except RemoteError as error:  # it was heard, and was on its way when it was asked again
                assert error.code in ("not_moved", "wrong_state"), error
            return str(uuid.uuid5(uuid.UUID(request), self.session))

    async def arrives(self, host: HostProcess, generation: int) -> None:
        """Wait until its runner of that generation runs on a host, and somebody has died.

        It is shown as running before whoever wrote that dies. A refusal is right only of who was away for
        long, and touches nothing.
        """
        request = await self.ask()
        deadline = monotonic() + 2 * PATIENCE_SECONDS
        while True:
            await self.revive()
            (row,) = await self.source.fetch(
                "SELECT state, generation, host FROM sessions WHERE id = $1::uuid", self.session
            )
            if (row["state"], row["generation"], row["host"]) == ("running", generation, host.host) and self.deaths:
                return
            refused = await self.source.fetch(
                "SELECT detail FROM requests WHERE id = $1::uuid AND state = 'refused'", request
            )
            if refused:
                assert refused[0]["detail"] == "the host target did not answer within 10 s"
                assert marked(runner_id=f"{self.session}.1"), "its agent was touched"
                request = await self.ask()
            assert monotonic() < deadline, (
                f"{dict(row)}, {self.deaths} deaths\n{self.source.tail()}\n{self.target.tail()}"
            )
            await asyncio.sleep(0.1)

    async def happened_once(self, runs: Sequence[str], statuses: Sequence[str]) -> None:
        """Each runner began once and ended in order, and the last one is all that lives."""
        last = f"{self.session}.{len(statuses)}"
        living = marked(session_id=self.session)
        assert living
        assert {one.pid for one in living} == {one.pid for one in marked(runner_id=last)}
        rows = await self.source.fetch("SELECT status, ended_at FROM runners ORDER BY generation")
        assert [row["status"] for row in rows] == list(statuses)
        assert [row["ended_at"] is None for row in rows] == [False] * (len(rows) - 1) + [True]
        events = await self.source.fetch(
            "SELECT type, sequence FROM events WHERE session_id = $1::uuid ORDER BY sequence", self.session
        )
        assert [row["sequence"] for row in events] == list(range(1, len(events) + 1))
        counted = Counter(row["type"] for row in events)
        assert (counted["runner.started"], counted["session.resumed"]) == (len(runs), len(runs) - 1)
        (held,) = await self.source.fetch("SELECT session_id::text AS id FROM admissions WHERE granted_at IS NOT NULL")
        assert held["id"] == self.session
        await self.source.command(self.session, "terminate")
        await self.source.wait(self.session, "ended")

        async def nothing_left() -> bool:
            return not marked(session_id=self.session)

        await answer(nothing_left, what="the end of its processes")


@pytest.fixture
def move(hosts: Hosts) -> Move:
    return Move(hosts.new("source"), hosts.new("target"))


@pytest.mark.parametrize(("point", "who"), ON_THE_WAY)
async def test_a_death_on_the_way_changes_nothing(hosts: Hosts, move: Move, point: str, who: str) -> None:
    await move.begin(hosts.shared)
    await move.arm(who, point)
    await move.arrives(move.target, 2)
    runs = [f"{move.session}.1", f"{move.session}.2"]
    await until(lambda: (hosts.shared / "runs").read_text().split() == runs, what="that it began once on each")
    await move.happened_once(runs, ["terminated", "running"])


async def test_an_agent_that_is_adopted_after_its_move_keeps_what_it_wrote(hosts: Hosts, move: Move) -> None:
    said = {move.source: assistant("msg_1", 5), move.target: assistant("msg_2", 7)}
    for host, words in said.items():
        host.programs.mkdir()
        (host.programs / "claude").write_text(CLAUDE)
        (host.programs / "claude").chmod(0o755)
        (Path(host.environment["HOME"]) / "says").write_bytes(words)
        await host.start()
    await move.source.call("create_project", name="talks", path=str(hosts.shared), agent="claude")
    (move.session,) = await move.source.launch("talks", options={"host": "source"})
    await move.source.wait(move.session, "running")

    async def counted(tokens: int) -> None:
        async def are() -> bool:
            found = await move.target.call("find_session", target=move.session)
            return bool(found["tokens_used"] == tokens)

        await answer(are, what=f"{tokens} tokens")

    await counted(15)
    await move.arm("target", "launch.run.before")
    await move.arrives(move.target, 2)
    await counted(32)
    (file,) = (Path(move.target.environment["HOME"]) / ".claude/projects").glob(f"*/{move.session}.jsonl")
    assert file.read_bytes() == said[move.source] + said[move.target]
