"""From an agent's file to what people see, by a real daemon. The agent is a script that writes as Claude Code does."""

import os
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest

from stratavore.environment import write_environment
from tests.integration.worker.conversing import assistant, user
from tests.integration.worker.watching import generation
from tests.support.command_line import CommandLine
from tests.support.daemon import DaemonProcess
from tests.support.waiting import answer

SCRIPT = """\
#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in --session-id|--resume) how=$1 id=$2 ;; esac
    shift
done
directory=$HOME/.claude/projects/$(pwd | tr -c 'A-Za-z0-9\\n' -)
mkdir -p "$directory/$id/subagents"
cat "$HOME/says" >> "$directory/$id.jsonl"
cat "$HOME/subagent" >> "$directory/$id/subagents/agent-a1.jsonl" 2> /dev/null
echo "$how" >> "$HOME/started"
[ -e "$HOME/ends" ] || exec sleep 10000
"""


class Person:
    """Somebody with a home directory, in which an agent is installed."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self.daemon = daemon
        self.home = daemon.home.root / "person"
        (self.home / "bin").mkdir(parents=True)
        (self.home / "bin" / "claude").write_text(SCRIPT)
        (self.home / "bin" / "claude").chmod(0o755)

    async def launch(self) -> str:
        """A new session of a new project, once it runs or has ended."""
        project = f"p{uuid.uuid4().hex[:8]}"
        directory = self.daemon.home.root / project
        directory.mkdir()
        await self.daemon.call("create_project", name=project, path=str(directory), agent="claude")
        session = str(uuid.uuid4())
        path = f"{self.home / 'bin'}:{os.environ['PATH']}"
        write_environment(self.daemon.home.session_environment(session), {"HOME": str(self.home), "PATH": path})
        await self.daemon.call("launch", project=project, session_ids=[session])
        await self.daemon.wait(session, "running", "ended", "recovering")
        return session

    def transcript(self, session: str) -> Path:
        (found,) = (self.home / ".claude" / "projects").glob(f"*/{session}.jsonl")
        return found

    async def tokens(self, session: str, count: int) -> dict[str, Any]:
        """The session, once so many tokens are counted."""

        async def look() -> dict[str, Any] | None:
            found = await self.daemon.call("find_session", target=session)
            return found if found["tokens_used"] == count else None

        found = await answer(look, what=f"{count} tokens")
        assert found is not None
        return found


@pytest.fixture
def cli(daemon: DaemonProcess) -> CommandLine:
    """The command line beside the daemon."""
    return CommandLine(daemon.environment, daemon.home.root)


@pytest.fixture
def person(daemon: DaemonProcess) -> Person:
    return Person(daemon)


async def test_what_an_agent_writes_is_counted_searched_and_kept(person: Person, cli: CommandLine) -> None:
    says = user("Build the \xe4rchive") + assistant("msg_1", 1) + assistant("msg_1", 5, text="The archive is built")
    (person.home / "says").write_bytes(says + b"\xff\n")
    (person.home / "subagent").write_bytes(assistant("msg_2", 7, text="Helped"))
    session = await person.launch()
    found = await person.tokens(session, 32)
    assert found["cost_usd"] == pytest.approx((20 * 5 + 12 * 25) / 1e6)
    transcript = person.transcript(session)
    content = transcript.read_bytes()
    transcript.unlink()
    raw = await cli.behind("sh", "-c", '"$@" | head -c 100000000 | od -An -v -tx1', "sh").done(
        "transcript", session[:8], "--format", "jsonl"
    )
    assert bytes.fromhex(raw) == content + (person.home / "subagent").read_bytes()
    assert "The archive is built" in await cli.done("transcript", session[:8])
    (match,) = await cli.json("search", "archives built")
    assert (match["session_id"], match["role"]) == (session, "assistant")
    shown = await cli.json("sessions", "show", session)
    assert [one["replies"] for one in shown["usage"]] == [2]


async def test_an_agent_that_ends_at_once_is_counted_before_its_end_is_told(person: Person) -> None:
    # So much that its end is awaited long before all is counted.
    (person.home / "says").write_bytes(b"".join(assistant(f"msg_{number}", 5) for number in range(10_000)))
    (person.home / "ends").touch()
    session = await person.launch()
    found = await person.daemon.wait(session, "ended")
    assert found["tokens_used"] == 150_000


async def test_what_was_written_while_the_daemon_was_away_counts_for_the_runner_that_wrote_it(person: Person) -> None:
    (person.home / "says").write_bytes(assistant("msg_1", 5))
    session = await person.launch()
    await person.tokens(session, 15)
    runner, _ = await generation(person.daemon, session, 1)
    person.daemon.kill()
    with person.transcript(session).open("ab") as file:
        file.write(assistant("msg_2", 6))
    (person.home / "says").write_bytes(b"")
    os.kill(runner["pid"], signal.SIGKILL)
    await person.daemon.start()
    await generation(person.daemon, session, 2)
    first, second = await person.daemon.call("session_runners", session_id=session)
    assert (first["tokens_used"], second["tokens_used"]) == (31, 0)


async def test_a_conversation_whose_file_is_gone_is_resumed_with_it(person: Person) -> None:
    (person.home / "says").write_bytes(user("hello") + assistant("msg_1", 5))
    session = await person.launch()
    await person.tokens(session, 15)
    transcript = person.transcript(session)
    content = transcript.read_bytes()
    (person.home / "says").write_bytes(user("and on"))
    await person.daemon.command(session, "pause")
    await person.daemon.wait(session, "paused")
    transcript.unlink()
    await person.daemon.command(session, "resume")
    await person.daemon.wait(session, "running")
    assert (await answer(_lines(person.home / "started", 2)))[-1] == "--resume"
    assert transcript.read_bytes() == content + (person.home / "says").read_bytes()
    assert (await person.tokens(session, 15))["generation"] == 2


async def test_a_conversation_that_never_began_is_begun(person: Person) -> None:
    (person.home / "says").write_bytes(b"")
    session = await person.launch()
    await answer(_lines(person.home / "started", 1))
    person.transcript(session).unlink()
    (runner, _) = await generation(person.daemon, session, 1)
    os.kill(runner["pid"], signal.SIGKILL)
    await generation(person.daemon, session, 2)
    assert await answer(_lines(person.home / "started", 2)) == ["--session-id", "--session-id"]


def _lines(path: Path, count: int) -> Any:
    async def look() -> list[str] | None:
        lines = path.read_text().splitlines() if path.exists() else []
        return lines if len(lines) >= count else None

    return look
