"""A run directory that does not answer: nothing is concluded from it, and what must end is ended all the same."""

import errno

import pytest

from stratavore.runtime.host import ProcessesRemain
from stratavore.runtime.processes import Liveness, liveness
from stratavore.runtime.rundir import RunDirectory
from tests.integration.runtime.runners import Runners


@pytest.mark.parametrize("name", ["started", "pid"])
async def test_one_whose_files_cannot_be_read_is_neither_dead_nor_without_a_terminal(
    runners: Runners, name: str
) -> None:
    spec = runners.spec("sleep", "1000")
    agent = await runners.agent(spec)
    file = runners.files(spec).path / name
    file.rename(file.with_name("kept"))
    file.symlink_to(name)  # and so on, for ever
    with pytest.raises(OSError, match=name):
        await runners.launch(spec)
    with pytest.raises(OSError, match=name):
        runners.host.look(spec.runner_id)
    with pytest.raises((OSError, ProcessesRemain)):
        await runners.host.finish(spec.runner_id, spec.project_id)
    file.with_name("kept").rename(file)
    found = await runners.launch(spec)
    assert (found.identity, found.orphaned, found.lost) == (agent, False, False)
    assert liveness(agent) is Liveness.ALIVE


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_full_disk_holds_up_no_end(runners: Runners, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, unlaunched = runners.spec("sleep", "1000"), runners.spec("sleep", "1000")
    agent = await runners.agent(spec)
    runners.files(unlaunched).path.mkdir()
    monkeypatch.setattr(RunDirectory, "ask_stop", _full)
    await runners.host.stop(spec.runner_id, spec.project_id, grace=5, force=False)
    assert liveness(agent) is Liveness.DEAD
    with pytest.raises(OSError, match="No space left"):  # it is not forbidden to begin
        await runners.host.stop(unlaunched.runner_id, unlaunched.project_id, grace=5, force=False)
