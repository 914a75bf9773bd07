"""A transcript that cannot be read now may hold replies: it is asked again, and no end is told before."""

import resource
from pathlib import Path

import pytest

from stratavore.paths import Home
from tests.integration.store.conftest import store as store
from tests.integration.store.steps import Store
from tests.integration.worker.conversing import agent, assistant
from tests.support.waiting import answer


async def test_what_could_not_be_read_is_read_later_though_nothing_was_added(
    store: Store, home: Home, tmp_path: Path
) -> None:
    one = await agent(store, home, tmp_path / "claude")
    watched, reader = await one.run(), one.reader()
    for file, reply in ((one.main, "m1"), (one.subagent, "m2")):
        one.write(assistant(reply, 7), path=file)
        file.rename(file.with_suffix(".kept"))
        file.symlink_to(file.name)  # and so on, for ever
    await reader.look([watched])
    with pytest.raises(OSError, match="symbolic links"):  # its end is not told before it is known what it used
        await reader.drain(watched)
    assert await one.usage() == {}
    for file in (one.main, one.subagent):
        file.with_suffix(".kept").rename(file)
    await reader.drain(watched)
    assert await one.usage() == {"m1": 7, "m2": 7}


async def test_a_file_that_cannot_be_opened_for_a_moment_is_looked_at_again(
    store: Store, home: Home, tmp_path: Path
) -> None:
    one = await agent(store, home, tmp_path / "claude")
    watched, reader = await one.run(), one.reader()
    await reader.look([watched])  # its connection to Postgres is open from here on
    one.write(assistant("m1", 7))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        await reader.look([watched])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert await one.usage() == {}

    async def is_read() -> bool:
        await reader.look([watched])
        return await one.usage() == {"m1": 7}

    await answer(is_read, what="that it is read")
