"""Status lines and logs, with a terminal server that fails when it is told to."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from stratavore.agents.adapter import Judgement
from stratavore.models.states import Activity
from stratavore.paths import Home
from stratavore.runtime import logs
from stratavore.runtime.processes import identify
from stratavore.runtime.rundir import RunDirectory
from stratavore.runtime.tmux import PaneInfo, TerminalFailed, Tmux
from worker.sightings import Sightings
from worker.terminals import LOGS_EVERY, Terminals
from worker.watched import Watched

_numbers: Iterator[int] = count(1)


def watched(project: str = "p", activity: Activity = Activity.STARTING) -> Watched:
    own = identify(os.getpid())
    assert own is not None
    number = next(_numbers)
    run = RunDirectory(Home(Path("/nowhere")), f"s{number}.1")
    made = Watched(f"s{number}.1", f"s{number}", project, project, "command", own, datetime.now(UTC), run)
    made.shown = Judgement(activity)
    return made


class FakeTmux(Tmux):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.hangs: set[str] = set()
        self.options: list[dict[str, str]] = []
        self.tokens: list[str] = []
        self.panes: dict[str, PaneInfo] = {}
        self.relaid: list[str] = []

    async def set_options(self, project_id: str, options: Mapping[str, Mapping[str, str]]) -> None:
        if project_id in self.hangs:
            raise TerminalFailed(reason="no answer", socket="x")
        self.options.append({runner_id: values["@activity"] for runner_id, values in options.items()})
        self.tokens += [values["@tokens"] for values in options.values()]

    async def runners(self, project_id: str) -> dict[str, PaneInfo]:
        return self.panes

    async def log_again(self, project_id: str, runner_id: str) -> None:
        self.relaid.append(runner_id)


async def test_only_what_changed_is_shown_and_many_at_once() -> None:
    tmux = FakeTmux()
    terminals = Terminals(tmux)
    one, two = watched(), watched()
    await terminals.look([one, two])
    assert tmux.options == []  # a new terminal says "starting" already
    one.shown = two.shown = Judgement(Activity.BUSY)
    await terminals.look([one, two])
    await terminals.look([one, two])
    two.shown = Judgement(Activity.IDLE)
    await terminals.look([one, two])
    assert tmux.options == [{one.runner_id: "busy", two.runner_id: "busy"}, {two.runner_id: "idle"}]


async def test_tokens_are_shown_as_they_grow() -> None:
    tmux = FakeTmux()
    terminals = Terminals(tmux)
    one = watched()
    for tokens in (0, 999, 999, 1234567):
        one.tokens = tokens
        await terminals.look([one])
    assert tmux.tokens == ["999", "1,234,567"]


async def test_a_server_that_hangs_is_told_later_and_holds_up_no_other() -> None:
    tmux = FakeTmux()
    terminals = Terminals(tmux)
    hung, fine = watched("hung", Activity.BUSY), watched("fine", Activity.BUSY)
    tmux.hangs.add("hung")
    await terminals.look([hung, fine])
    assert tmux.options == [{fine.runner_id: "busy"}]
    tmux.hangs.clear()
    hung.shown = Judgement(Activity.IDLE)
    await terminals.look([hung, fine])
    assert tmux.options[1:] == [{hung.runner_id: "idle"}]


async def test_logs_that_broke_off_are_laid_again_now_and_then() -> None:
    tmux = FakeTmux()
    terminals = Terminals(tmux)
    one = watched()
    tmux.panes = {
        "broken": PaneInfo(1, dead=False, logged=False),
        "fine": PaneInfo(1, dead=False, logged=True),
        "dead": PaneInfo(1, dead=True, logged=False),
    }
    for _ in range(LOGS_EVERY):
        await terminals.look([one])
    assert tmux.relaid == []
    await terminals.look([one])
    assert tmux.relaid == ["broken"]


def test_a_log_that_cannot_be_shortened_does_not_stop_the_measuring(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(logs, "trim_log", full)
    one = watched()
    measured = Sightings(None, asyncio.Lock(), interval=1, measure_seconds=1)._measure([one])  # type: ignore[arg-type]
    assert measured.usage[one.runner_id].memory_mb > 0
    assert "No space left" in caplog.text
