"""What cannot be read now says nothing: no file counts as missing, and no process as dead, because a look failed."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stratavore.paths import Home
from stratavore.runtime.processes import Liveness, ProcessesUnseen, Snapshot, identify, liveness
from stratavore.runtime.rundir import RunDirectory

RUNNER = "00000000-0000-4000-8000-000000000000.1"
QUESTIONS: dict[str, Callable[[RunDirectory], Any]] = {
    "exit": RunDirectory.exit,
    "pid": RunDirectory.agent,
    "started": RunDirectory.wrapper,
    "descendants": RunDirectory.descendants,
    "spec.json": RunDirectory.spec,
}


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """As in a process that has opened too much."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    home = Home(tmp_path)
    home.run_directory(RUNNER).mkdir(parents=True)
    return RunDirectory(home, RUNNER)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_file_that_is_not_there_says_something(run: RunDirectory, name: str) -> None:
    assert not QUESTIONS[name](run)
    run.path.rmdir()
    assert not QUESTIONS[name](run)
    run.path.write_text("in the place of the directory")
    assert not QUESTIONS[name](run)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_file_that_cannot_be_read_says_nothing(run: RunDirectory, name: str) -> None:
    (run.path / name).symlink_to(name)  # and so on, for ever
    with pytest.raises(OSError, match=name):
        QUESTIONS[name](run)
    (run.path / name).unlink()
    with no_descriptor_left(), pytest.raises(OSError, match="Too many open files"):
        QUESTIONS[name](run)


@pytest.mark.parametrize("name", ["started", "stop-asked"])
def test_what_was_noted_is_not_forgotten_because_a_look_failed(run: RunDirectory, name: str) -> None:
    (run.path / name).symlink_to(name)
    with pytest.raises(OSError, match=name):
        _ = run.started or run.stop_asked


def test_an_exit_that_cannot_be_asked_whether_we_wanted_it_says_nothing(run: RunDirectory) -> None:
    (run.path / "exit").write_text("143 TERM\n1.0\n")
    (run.path / "stop-asked").symlink_to("stop-asked")
    with pytest.raises(OSError, match="stop-asked"):
        run.exit()
    (run.path / "stop-asked").unlink()
    (run.path / "stop-asked").touch()
    record = run.exit()
    assert record is not None and record.asked


def test_without_descriptors_no_process_is_dead_and_none_is_missed() -> None:
    own = identify(os.getpid())
    assert own is not None
    seen = Snapshot()
    with no_descriptor_left():
        assert liveness(own) is Liveness.UNKNOWN
        with pytest.raises(ProcessesUnseen, match="Too many open files"):
            Snapshot()
        with pytest.raises(ProcessesUnseen, match="Too many open files"):
            seen.marked()
    assert Snapshot().living([own]) == [own]


def test_an_empty_process_list_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratavore.procfs.pids", list)
    with pytest.raises(ProcessesUnseen, match="the list of them is empty"):
        Snapshot()
