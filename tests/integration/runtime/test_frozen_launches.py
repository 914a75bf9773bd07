"""A launch that froze in the middle and goes on when others have long gone on: a session has one agent at most."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import pytest

from stratavore import procfs
from stratavore.runtime.processes import Liveness, ProcessesUnseen, Snapshot, liveness
from stratavore.runtime.rundir import RunSpec, of_session
from tests.integration.runtime.runners import Runners
from tests.support.waiting import until

POINTS = ("launch.prepare.before", "launch.prepare.after", "launch.tmux.before", "launch.tmux.after")


class Frozen:
    """A process that launches a runner, and stands still."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    async def goes_on(self) -> dict[str, object]:
        """Let it go on; what it comes to."""
        self._process.send_signal(signal.SIGCONT)
        said, _ = await asyncio.to_thread(self._process.communicate, timeout=90)
        return dict(json.loads(said))


@pytest.fixture
def seen(runners: Runners) -> Iterator[list[set[int]]]:
    """The agents of the one session that lived at one time, looked at again and again until the test is over."""
    looks: list[set[int]] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            looks.append(agents(runners))
            over.wait(0.002)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield looks
    finally:
        over.set()
        thread.join()


def agents(runners: Runners) -> set[int]:
    """Processes of all agents; of two, both lived when both had been seen."""
    sessions = {path.name.partition(".")[0] for path in runners.home.runners.iterdir()}
    found = {agent for one in sessions for run in of_session(runners.home, one) if (agent := run.agent())}
    return {one.pid for one in found if liveness(one) is Liveness.ALIVE}


@contextmanager
def frozen(runners: Runners, spec: RunSpec, point: str) -> Iterator[Frozen]:
    """One whose process is killed afterwards, if it lives."""
    words = [sys.executable, "-m", "tests.integration.runtime.freezing_launch"]
    with subprocess.Popen(
        [*words, point, str(runners.home.root), json.dumps(asdict(spec))], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Frozen(process)
        finally:
            process.kill()


async def stands_still(one: Frozen) -> None:
    pid = one._process.pid
    await until(lambda: procfs.stat(pid).state == "T", what="the launch that stops")


async def began(runners: Runners, point: str) -> set[int]:
    """The agents by the time that a launch stands still: one, if it has opened the terminal."""
    if point == "launch.tmux.after":
        await until(lambda: agents(runners), what="the agent in the terminal")
    return agents(runners)


@pytest.mark.parametrize("point", POINTS)
async def test_a_launch_that_is_tried_again_while_the_first_try_stands_still(
    runners: Runners, seen: list[set[int]], point: str
) -> None:
    spec = runners.spec("sleep", "1000")
    with frozen(runners, spec, point) as first:
        await stands_still(first)
        second = await runners.launch(spec)
        assert second.identity
        assert await first.goes_on() == {"pid": second.identity.pid}
    assert liveness(second.identity) is Liveness.ALIVE
    assert max(map(len, seen)) == 1
    assert set.union(*seen) == {second.identity.pid}


@pytest.mark.parametrize("point", POINTS)
async def test_a_launch_that_stood_still_while_its_session_went_on(
    runners: Runners, seen: list[set[int]], point: str
) -> None:
    spec = runners.spec("sleep", "1000")
    with frozen(runners, spec, point) as stale:
        await stands_still(stale)
        begun = await began(runners, point)
        current = await runners.launch(runners.next(spec))
        assert current.identity
        outcome = await stale.goes_on()
    assert outcome in ({"refused": "stale_generation"}, {"pid": None})
    assert agents(runners) == {current.identity.pid}
    assert max(map(len, seen)) == 1
    assert set.union(*seen) <= {current.identity.pid, *begun}  # nothing was started when it went on
    assert len(begun) == (point == "launch.tmux.after")


@pytest.mark.parametrize("point", POINTS)
async def test_a_launch_that_stood_still_while_its_runner_was_stopped(
    runners: Runners, seen: list[set[int]], point: str
) -> None:
    """Nobody watches what it starts: the session is paused, say."""
    spec = runners.spec("sleep", "1000")
    with frozen(runners, spec, point) as called_off:
        await stands_still(called_off)
        begun = await began(runners, point)
        await runners.host.stop(spec.runner_id, spec.project_id, grace=5, force=False)
        assert (await called_off.goes_on())["pid"] is None
    assert agents(runners) == set()
    assert set.union(*seen) <= begun


@pytest.mark.parametrize("first", [1, 2])
async def test_two_generations_that_are_launched_at_the_same_time(
    runners: Runners, seen: list[set[int]], first: int
) -> None:
    """Whichever comes to it first: the later one lives in the end, and never both."""
    spec = runners.spec("sleep", "1000")
    later = runners.next(spec)
    with frozen(runners, later, "launch.prepare.after") as standing:
        await stands_still(standing)
        if first == 1:
            await asyncio.gather(runners.launch(spec), return_exceptions=True)
        outcome = await standing.goes_on()
    run = runners.files(later).agent()
    assert run and outcome == {"pid": run.pid}
    assert agents(runners) == {run.pid}
    assert max(map(len, seen)) == 1


async def test_processes_that_cannot_be_seen_hold_up_a_launch(
    runners: Runners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier agent that lives and is not seen would have a second one beside it."""
    spec = runners.spec("sleep", "1000")
    earlier = await runners.agent(spec)
    os.unlink(runners.files(spec).path / "pid")
    with monkeypatch.context() as empty:
        empty.setattr("stratavore.procfs.pids", list)
        with pytest.raises(ProcessesUnseen):
            await runners.launch(runners.next(spec))
    assert not runners.files(runners.next(spec)).started
    assert Snapshot().living([earlier]) == [earlier]
    assert (await runners.launch(runners.next(spec))).identity
    assert liveness(earlier) is Liveness.DEAD
