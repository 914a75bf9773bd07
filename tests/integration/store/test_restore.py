"""A conversation whose files are gone is there again, byte for byte."""

from pathlib import Path

import pytest

from stratavore.agents.registry import adapter_for
from stratavore.paths import Home
from stratavore.restore import restore
from tests.integration.store.steps import Store
from tests.integration.worker.conversing import CONVERSATION, Agent, agent, assistant, user

CLAUDE = adapter_for("claude")
STRANGE = b'{"type":"user","text":"\xff\xfe\x00"}\r\n\n' + "漢字\n".encode()


@pytest.fixture
async def writer(store: Store, home: Home, tmp_path: Path) -> Agent:
    """An agent that has said something, and what it said is stored."""
    made = await agent(store, home, tmp_path / "projects" / "site")
    await made.run()
    made.write(user("hello") + STRANGE)
    reader, watched = made.reader(), made.watched()
    await reader.look([watched])
    made.write(assistant("msg_1", 1, text="x" * 2_500_000) + assistant("msg_2", 2))
    made.write(assistant("msg_3", 3), path=made.subagent)
    await reader.drain(watched)
    return made


async def restored(writer: Agent, default: Path | None = None) -> Path | None:
    async with writer.store.database.pool.acquire() as connection:
        return await restore(connection, CLAUDE, writer.session.session_id, CONVERSATION, default or writer.main)


async def test_files_that_are_gone_are_written_again(writer: Agent) -> None:
    written = {path: path.read_bytes() for path in (writer.main, writer.subagent)}
    for path in written:
        path.unlink()
    writer.subagent.parent.rmdir()
    assert await restored(writer) == writer.main
    assert {path: path.read_bytes() for path in written} == written
    assert writer.main.stat().st_mode & 0o777 == 0o600
    assert sorted(one.name for one in writer.main.parent.iterdir()) == sorted([CONVERSATION, writer.main.name])


async def test_a_file_that_was_cut_is_whole_again_and_read_on(writer: Agent) -> None:
    whole = writer.main.read_bytes()
    writer.main.write_bytes(whole[:100])
    await restored(writer)
    assert writer.main.read_bytes() == whole
    writer.write(assistant("msg_4", 4))
    await writer.reader().drain(writer.watched())
    (row,) = await writer.store.fetch("SELECT part, read_to FROM transcripts WHERE NOT subagent")
    assert tuple(row) == (0, writer.main.stat().st_size)


async def test_a_longer_file_is_left_alone(writer: Agent) -> None:
    longer = writer.main.read_bytes() + b"half a line"
    writer.main.write_bytes(longer)
    assert await restored(writer) == writer.main
    assert writer.main.read_bytes() == longer


async def test_what_was_begun_anew_is_restored_as_it_was_then(writer: Agent) -> None:
    anew = user("another beginning")
    writer.main.write_bytes(anew)
    await writer.reader().drain(writer.watched())
    writer.main.unlink()
    await restored(writer)
    assert writer.main.read_bytes() == anew


async def test_on_another_host_it_lies_where_its_agent_looks(writer: Agent, tmp_path: Path) -> None:
    there = tmp_path / "there" / "projects" / "elsewhere" / writer.main.name
    whole = writer.main.read_bytes()
    sub = writer.subagent.read_bytes()
    (tmp_path / "projects").rename(tmp_path / "gone")
    assert await restored(writer, there) == there
    assert there.read_bytes() == whole
    assert (there.parent / CONVERSATION / "subagents" / writer.subagent.name).read_bytes() == sub


async def test_a_conversation_that_was_never_begun_is_nowhere(writer: Agent, tmp_path: Path) -> None:
    async with writer.store.database.pool.acquire() as connection:
        path = tmp_path / "other.jsonl"
        assert await restore(connection, CLAUDE, writer.session.session_id, "other", path) is None
        path.write_bytes(b"{}\n")
        assert await restore(connection, CLAUDE, writer.session.session_id, "other", path) == path


async def test_what_an_earlier_stay_left_gives_way_to_how_it_went_on_elsewhere(writer: Agent, tmp_path: Path) -> None:
    there = tmp_path / "there" / "projects" / "elsewhere" / writer.main.name
    there.parent.mkdir(parents=True)
    whole = writer.main.read_bytes()
    there.write_bytes(whole + user("what nobody heard of"))
    async with writer.store.database.pool.acquire() as connection:
        session = writer.session.session_id
        assert await restore(connection, CLAUDE, session, CONVERSATION, there, elsewhere=True) == there
    assert there.read_bytes() == whole
