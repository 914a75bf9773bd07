"""How long a runner lived, whatever was done to the clock."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stratavore.paths import Home
from stratavore.runtime.processes import TICKS, ProcessIdentity
from stratavore.runtime.rundir import RunDirectory
from worker.ends import lived
from worker.watched import Watched

RUNNER = "00000000-0000-4000-8000-000000000001.1"
BEGAN = datetime(2026, 6, 1, 12, tzinfo=UTC)
AN_HOUR = timedelta(hours=1)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    """A runner that began 100 s after the machine's start."""
    run = RunDirectory(Home(tmp_path), RUNNER)
    run.path.mkdir(parents=True)
    identity = ProcessIdentity(pid=1, start_ticks=100 * TICKS, boot_id="boot")
    return Watched(RUNNER, RUNNER[:-2], "p", "p", "command", identity, BEGAN, run)


def ends(watched: Watched, content: str, at: datetime) -> None:
    file = watched.run.path / "exit"
    file.write_text(content)
    os.utime(file, (at.timestamp(), at.timestamp()))


@pytest.mark.parametrize("clock", [-AN_HOUR, timedelta(0), AN_HOUR])
def test_a_clock_that_is_set_shortens_no_life(watched: Watched, clock: timedelta) -> None:
    ends(watched, "1\n820.50\n", BEGAN + timedelta(seconds=720.5) + clock)
    assert lived(watched, watched.run.exit(), BEGAN) == timedelta(seconds=720.5)


def test_without_ticks_the_clock_has_to_do(watched: Watched) -> None:
    assert lived(watched, None, BEGAN + AN_HOUR) == AN_HOUR
    ends(watched, "1\n", BEGAN + AN_HOUR)
    assert lived(watched, watched.run.exit(), BEGAN) == AN_HOUR
