"""Reading what agents write: each byte is stored once and each reply counted once, whatever happens to whom."""

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from stratavore.agents.adapter import UNHEARD, Judgement
from stratavore.agents.claude.follower import ClaudeFollower
from stratavore.agents.claude.transcript import read_row
from stratavore.agents.conversation import Row
from stratavore.killpoints import VARIABLE
from stratavore.models.states import Activity, SessionState
from stratavore.paths import Home
from stratavore.runtime.rundir import RunSpec
from stratavore.store import transcripts
from stratavore.store.database import Database
from tests.integration.store.dying import Died, DyingDatabase
from tests.integration.store.steps import KEY, Store
from tests.integration.worker.conversing import AT, CONVERSATION, Agent, agent, assistant, line, user
from tests.support import servers
from tests.support.stacks import Stack
from worker.sightings import Sightings


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    opened = await Database.open(database, KEY)
    made = Store(opened)
    await made.host()
    yield made
    await opened.close()


@pytest.fixture
async def writer(store: Store, home: Home, tmp_path: Path) -> Agent:
    """An agent whose runner runs."""
    made = await agent(store, home, tmp_path)
    await made.run()
    return made


async def stored(writer: Agent) -> dict[str, bytes]:
    """The files as they are stored, by name."""
    async with writer.store.database.pool.acquire() as connection:
        return {
            one.key.name: b"".join([piece async for piece in transcripts.content(connection, one.id)])
            for one in await transcripts.files(connection, writer.session.session_id)
        }


async def test_a_half_line_waits_for_its_end(writer: Agent) -> None:
    whole, half = user("first"), assistant("msg_1", 5)
    writer.write(whole + half[:20])
    reader, watched = writer.reader(), writer.watched()
    await reader.look([watched])
    assert await stored(writer) == {writer.main.name: whole}
    writer.write(half[20:])
    await reader.look([watched])
    assert await stored(writer) == {writer.main.name: whole + half}
    assert await writer.usage() == {"msg_1": 5}


async def test_files_of_other_agents_count_too_and_are_not_heard(
    writer: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, heard = writer.watched(), list[Row]()
    monkeypatch.setattr(watched.follower, "row", heard.append)
    reader = writer.reader()
    writer.write(assistant("msg_1", 1))
    await reader.look([watched])
    writer.write(assistant("msg_2", 2), path=writer.subagent)
    await reader.drain(watched)
    assert await writer.usage() == {"msg_1": 1, "msg_2": 2}
    assert [row.reply.id for row in heard if row.reply] == ["msg_1"]
    rows = await writer.store.fetch("SELECT subagent FROM messages ORDER BY subagent")
    assert [row["subagent"] for row in rows] == [False, True]


async def test_a_conversation_that_was_left_is_read_to_its_end(writer: Agent, tmp_path: Path) -> None:
    writer.write(assistant("msg_1", 1))
    reader, watched = writer.reader(), writer.watched()
    await reader.look([watched])
    writer.write(assistant("msg_2", 2))
    for number in (2, 3):  # two of them while nobody looked
        path = tmp_path / f"{uuid.uuid4()}.jsonl"
        writer.write(assistant(f"msg_{number + 1}", number + 1), path=path)
        watched.entered[str(path)] = path.stem
    await reader.drain(watched)
    assert await writer.usage() == {f"msg_{n}": n for n in (1, 2, 3, 4)}


async def test_all_hooks_count_at_the_end_however_much_they_hold(writer: Agent, tmp_path: Path) -> None:
    watched = writer.watched()
    watched.run.hooks.parent.mkdir(parents=True)
    told = {"hook_event_name": "UserPromptSubmit", "session_id": CONVERSATION, "transcript_path": str(writer.main)}
    left = tmp_path / f"{uuid.uuid4()}.jsonl"
    later = {"hook_event_name": "SessionStart", "session_id": left.stem, "transcript_path": str(left)}
    with watched.run.hooks.open("w") as hooks:
        for number in range(9):
            hooks.write(f"{number} {json.dumps({**told, 'prompt': 'x' * 2**20})}\n")
        hooks.write(f"10 {json.dumps(later)}\n11 {{")  # it died over the next one
    writer.write(assistant("msg_1", 1), path=left)
    await writer.reader().drain(watched)
    assert await writer.usage() == {"msg_1": 1}


async def test_rows_are_heard_once_also_while_postgres_is_away(writer: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    watched, heard = writer.watched(), list[Row]()
    monkeypatch.setattr(watched.follower, "row", heard.append)
    reader = writer.reader(DyingDatabase(writer.store.database, 2))
    writer.write(user("one"))
    for _ in range(3):
        with pytest.raises(Died):
            await reader.look([watched])
    assert len(heard) == 1
    writer.write(user("two"))
    for _ in range(2):
        with pytest.raises(Died):
            await reader.look([watched])
    assert [row.message.text for row in heard if row.message] == ["one", "two"]
    heard.clear()
    await writer.reader().look([again := writer.watched()])
    monkeypatch.setattr(again.follower, "row", heard.append)
    await writer.reader().look([again])
    assert heard == []


async def test_rows_of_another_file_are_heard_once_while_postgres_is_away(
    writer: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write(user("one"))
    await writer.reader().look([writer.watched()])
    watched, heard = writer.watched(), list[Row]()
    monkeypatch.setattr(watched.follower, "row", heard.append)
    writer.main.write_bytes(user("another beginning"))
    reader = writer.reader(DyingDatabase(writer.store.database, 2))
    for _ in range(2):
        with pytest.raises(Died):
            await reader.look([watched])
    assert len(heard) == 1


async def test_what_a_row_tells_is_known_to_the_next_daemon(writer: Agent) -> None:
    """It begins behind that row: a prompt that stands in the transcript would be told again."""
    at = datetime.fromisoformat(AT).timestamp()
    prompt = json.dumps({"hook_event_name": "UserPromptSubmit", "session_id": CONVERSATION, "prompt": "Do it once"})
    reader, watched = writer.reader(), writer.watched()
    watched.run.path.mkdir(parents=True)
    watched.run.hooks.write_text(f"{at:.3f} {prompt}\n")
    sightings = Sightings(writer.store.database, writer.following, interval=0.0, measure_seconds=3600.0)
    await sightings.look([watched])
    assert (await writer.known()).agent[UNHEARD] == "Do it once"
    writer.write(user("Do it once"))
    await reader.look([watched])
    await sightings.look([watched])
    assert (await writer.known()).agent[UNHEARD] is None


async def test_a_prompt_that_postgres_refuses_is_no_reason_to_store_less(
    writer: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    reader, watched = writer.reader(), writer.watched()
    watched.follower = ClaudeFollower.of({UNHEARD: "a NUL: \0"})
    writer.write(assistant("msg_1", 1))
    await reader.look([watched])
    assert await writer.usage() == {"msg_1": 1}
    assert "refused" not in caplog.text


async def test_what_postgres_refuses_holds_up_nobody(
    writer: Agent, store: Store, home: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = await agent(store, home, tmp_path / "other")
    await other.run()
    await store.fetch("ALTER TABLE messages ADD CONSTRAINT picky CHECK (text <> 'unspeakable')")
    writer.write(user("unspeakable") + assistant("msg_1", 1))
    other.write(assistant("msg_2", 2))
    await writer.reader().look([writer.watched(), other.watched()])
    assert (await writer.usage(), await other.usage()) == ({"msg_1": 1}, {"msg_2": 2})
    assert (await stored(writer))[writer.main.name] == writer.main.read_bytes()
    assert f"1 rows of a transcript of {writer.runner_id} were refused" in caplog.text


async def test_a_path_that_postgres_refuses_is_set_aside(writer: Agent, caplog: pytest.LogCaptureFixture) -> None:
    watched, reader = writer.watched(), writer.reader()
    strange = Path(os.fsdecode(os.fsencode(writer.main.parent) + b"/\xff"))
    strange.mkdir()
    watched.entered = {str(strange / "s.jsonl"): "strange", **watched.entered}
    writer.write(assistant("msg_1", 1), path=strange / "s.jsonl")
    writer.write(assistant("msg_2", 2))
    await reader.look([watched])
    assert await writer.usage() == {"msg_2": 2}
    assert f"a transcript of {writer.runner_id} is set aside" in caplog.text


async def test_kinds_that_are_not_known_are_counted_and_said_once(
    writer: Agent, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    writer.write(line(type="hologram") * 3 + b"no json\n" + user("hello"))
    await writer.reader().look([writer.watched()])
    (row,) = await store.fetch("SELECT rows, unknown_rows FROM transcripts")
    assert tuple(row) == (5, 4)
    assert caplog.text.count("hologram") == 1
    async with store.database.pool.acquire() as connection:
        assert await transcripts.health(connection) == ["transcripts of command: 4 of 5 rows were of an unknown kind"]


async def test_a_turn_that_says_nothing_of_its_cost_is_noticed(
    writer: Agent, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.transcripts.UNMETERED_SECONDS", 0.0)
    reader, watched = writer.reader(), writer.watched()

    async def turn(hour: int, *rows: bytes) -> int:
        watched.shown = replace(watched.shown, activity=Activity.BUSY)
        writer.write(b"".join(rows) or user("hello"))
        await reader.look([watched])
        watched.shown = Judgement(Activity.IDLE, turn_ended_at=datetime(2026, 6, 1, hour, tzinfo=UTC))
        await reader.look([watched])
        await reader.look([watched])
        (row,) = await store.fetch("SELECT unmetered_turns FROM runners")
        return int(row["unmetered_turns"])

    assert await turn(1, assistant("msg_1", 1)) == 0
    assert await turn(2, assistant("msg_2", 1)) == 0
    assert await turn(3) == 1
    assert await turn(4, user("[Request interrupted by user]")) == 1
    async with store.database.pool.acquire() as connection:
        (told,) = await transcripts.health(connection)
    assert told == "usage of command: 1 turn ended without a reply that says what it used"


async def test_a_runner_of_the_past_stores_nothing_and_its_rows_are_kept_by_the_next(
    writer: Agent, store: Store
) -> None:
    old = writer.watched()
    reader = writer.reader()
    await reader.look([old])
    await store.do(writer.session.record(SessionState.RECOVERING, old.runner_id))
    writer.write(assistant("msg_1", 1))
    await reader.drain(old)
    assert await writer.usage() == {}
    await reader.look([await writer.run()])
    (row,) = await store.fetch("SELECT runner_id FROM usage")
    assert row["runner_id"] == f"{writer.session.session_id}.2"


async def test_a_session_on_another_host_goes_on_in_the_same_file(writer: Agent, tmp_path: Path) -> None:
    writer.write(assistant("msg_1", 1))
    await writer.reader().look([writer.watched()])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    writer.main = writer.main.rename(elsewhere / writer.main.name)
    writer.write(assistant("msg_2", 2))
    await writer.reader().look([writer.watched()])
    (row,) = await writer.store.fetch("SELECT path, part, rows FROM transcripts")
    assert tuple(row) == (str(writer.main), 0, 2)


async def test_a_line_of_many_megabytes_is_read(writer: Agent) -> None:
    writer.write(
        user("x" * 3_000_000) + assistant("msg_1", 1) + line(type="user", filler="y" * 17 * 1024**2) + user("z")
    )
    await writer.reader().look([writer.watched()])
    assert (await stored(writer))[writer.main.name] == writer.main.read_bytes()
    assert await writer.usage() == {"msg_1": 1}


async def once(writer: Agent, what: str, database: str, kill_at: str | None = None) -> int | None:
    """Read or restore in a process of its own. Returns its exit code."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.worker.read_once", what, database),
        *(str(writer.home.root), writer.runner_id, str(writer.main)),
        env=os.environ | ({VARIABLE: kill_at} if kill_at else {}),
        cwd=servers.REPOSITORY,
    )
    return await process.wait()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_death_beside_the_commit_changes_nothing(writer: Agent, database: str, moment: str) -> None:
    writer.write(assistant("msg_1", 1) + assistant("msg_1", 7) + user("hello"))
    assert await once(writer, "read", database, f"transcripts.store.{moment}") == -signal.SIGKILL
    assert await writer.usage() == ({} if moment == "before" else {"msg_1": 7})
    assert await once(writer, "read", database) == 0
    assert await writer.usage() == {"msg_1": 7}
    assert await stored(writer) == {writer.main.name: writer.main.read_bytes()}
    await _counters_are_the_sum(writer)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_death_in_restoring_leaves_nothing_or_all(writer: Agent, database: str, moment: str) -> None:
    writer.write(written := user("hello"))
    await writer.reader().drain(writer.watched())
    writer.main.unlink()
    assert await once(writer, "restore", database, f"restore.rename.{moment}") == -signal.SIGKILL
    assert writer.main.exists() == (moment == "after")
    assert await once(writer, "restore", database) == 0
    assert writer.main.read_bytes() == written


IDS = st.sampled_from([f"msg_{n}" for n in range(6)])
ROWS = st.lists(
    st.one_of(
        st.builds(assistant, IDS, st.integers(0, 50), cache_read_input_tokens=st.integers(0, 50)),
        st.builds(user, st.text(max_size=5)),
        st.sampled_from(
            [b"\n", b"\xff\xfe\n", b"{\n", b'{"type":"mode"}\n', b'{"type":"user","message":{"content":"\\ud800"}}\n']
        ),
    ),
    max_size=4,
).map(b"".join)


class Machine(RuleBasedStateMachine):
    """One conversation, written and read in any order, by processes that die at any moment."""

    def __init__(self, store: Store, home: Home, root: Path, runner: asyncio.Runner) -> None:
        super().__init__()
        self._store, self._home, self._root, self._run = store, home, root, runner.run
        self._pending: dict[Path, bytes] = {}
        self._written: dict[Path, bytes] = {}
        self._replies: dict[str, tuple[int, int]] = {}

    @initialize()
    def begin(self) -> None:
        self._agent = self._run(agent(self._store, self._home, self._root / uuid.uuid4().hex))
        self._run(self._agent.run())
        self._restart()

    def _restart(self) -> None:
        self._watched, self._reader = self._agent.watched(), self._agent.reader()

    @rule(content=ROWS, cut=st.integers(0, 200), sub=st.booleans())
    def write(self, content: bytes, cut: int, sub: bool) -> None:
        path = self._agent.subagent if sub else self._agent.main
        content = self._pending.pop(path, b"") + content
        now, self._pending[path] = content[: len(content) - cut], content[max(0, len(content) - cut) :]
        self._agent.write(now, path=path)
        self._written[path] = self._written.get(path, b"") + now

    @rule()
    def look(self) -> None:
        self._run(self._reader.look([self._watched]))

    @rule()
    def restart(self) -> None:
        self._restart()

    @rule(statements=st.integers(0, 8))
    def die(self, statements: int) -> None:
        dying = self._agent.reader(DyingDatabase(self._store.database, statements))
        with suppress(Died):
            self._run(dying.drain(self._agent.watched()))

    @rule(keep=st.integers(0, 400), content=ROWS, sub=st.booleans())
    def rewrite(self, keep: int, content: bytes, sub: bool) -> None:
        """The file is replaced by a beginning of it and something else; what it held was read before."""
        self.settle()
        path = self._agent.subagent if sub else self._agent.main
        whole = self._written.get(path, b"")
        whole = whole[: whole.rfind(b"\n", 0, keep) + 1] + content
        other = path.with_suffix(".new")
        other.write_bytes(whole)
        other.replace(path)
        self._written[path], self._pending[path] = whole, b""

    @rule()
    def run_again(self) -> None:
        self.settle()
        self._run(self._store.do(self._agent.session.record(SessionState.RECOVERING, self._agent.runner_id)))
        self._watched = self._run(self._agent.run())

    def settle(self) -> None:
        """Everything is read; the ledger is what was ever written, and the files are as they are."""
        self._run(self._reader.drain(self._watched))
        self._expect()
        assert self._run(_ledger(self._agent)) == self._replies
        for name, content in self._run(stored(self._agent)).items():
            path = self._agent.main if name == self._agent.main.name else self._agent.subagent
            written = self._written[path]
            # A file that is empty now, or was cut to a half line, is seen to be another one when it goes on.
            if whole := written[: written.rfind(b"\n") + 1]:
                assert content == whole
        self._run(_counters_are_the_sum(self._agent))

    def _expect(self) -> None:
        for content in self._written.values():
            for one in content[: content.rfind(b"\n") + 1].split(b"\n"):
                if reply := read_row(one).reply:
                    known = self._replies.get(reply.id, (0, 0))
                    self._replies[reply.id] = (
                        max(known[0], reply.tokens.output),
                        max(known[1], reply.tokens.cache_read),
                    )

    def teardown(self) -> None:
        if hasattr(self, "_agent"):
            self.settle()


async def _ledger(writer: Agent) -> dict[str, tuple[int, int]]:
    rows = await writer.store.fetch(
        "SELECT message_id, output_tokens, cache_read_tokens FROM usage WHERE session_id = $1",
        writer.session.session_id,
    )
    return {row["message_id"]: (row["output_tokens"], row["cache_read_tokens"]) for row in rows}


async def _counters_are_the_sum(writer: Agent) -> None:
    wrong = await writer.store.fetch(
        "SELECT runners.id FROM runners LEFT JOIN usage ON runner_id = runners.id WHERE runners.session_id = $1"
        " GROUP BY runners.id HAVING coalesce(sum(usage.output_tokens), 0) <> runners.output_tokens"
        " OR coalesce(sum(usage.cost_usd), 0) <> coalesce(runners.cost_usd, 0)",
        writer.session.session_id,
    )
    assert wrong == []


def test_every_reply_counts_once_whatever_happens(
    stack: Stack, migrated_template: str, homes: Path, tmp_path: Path
) -> None:
    name = f"test_{uuid.uuid4().hex[:12]}"
    servers.run_apart(servers.execute(stack, f"CREATE DATABASE {name} TEMPLATE {migrated_template}"))
    home = servers.new_home(homes)

    class MachineHere(Machine):
        def __init__(self) -> None:
            super().__init__(store, home, tmp_path, runner)

    with asyncio.Runner() as runner:
        opened = runner.run(Database.open(servers.dsn_of(stack, name), KEY))
        store = Store(opened)
        runner.run(store.host())
        try:
            run_state_machine_as_test(
                MachineHere,
                settings=settings(
                    max_examples=40,
                    stateful_step_count=20,
                    deadline=None,
                    phases=[Phase.generate],  # shrinking takes minutes
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(opened.close())
            runner.run(servers.execute(stack, f"DROP DATABASE {name} WITH (FORCE)"))


async def test_a_reply_that_stands_in_the_output_only_is_counted_once(writer: Agent) -> None:
    """Without a terminal an agent prints a reply a moment before it writes it down, and may die between the two."""
    watched = writer.watched()
    spec = RunSpec(writer.runner_id, writer.session.session_id, "p", "p", "claude", 1, ("claude",), "/", stdin="prompt")
    watched.run.prepare(spec, {})
    both, printed, torn = assistant("msg_both", 5), assistant("msg_printed", 7), assistant("msg_torn", 9)[:-20]
    writer.write(user("begin") + both)
    watched.run.output.write_bytes(line(type="system", subtype="init") + both + printed + torn)
    for _ in range(2):
        await writer.reader().drain(watched)
        assert await writer.usage() == {"msg_both": 5, "msg_printed": 7}
    (runner,) = await writer.store.fetch("SELECT output_tokens FROM runners")
    assert runner["output_tokens"] == 12
