"""The environment of a session that was asked for, once the answer is an error."""

from pathlib import Path

import pytest

from stratavore.environment import read_environment
from stratavore.errors import NoFreeSlot, ServerSilent, StratavoreError
from stratavore.paths import Home
from tests.unit.cli.conftest import Run, Serve, only
from tests.unit.cli.examples import project

COMMANDS = {
    "open_project": ("open", "site"),
    "launch": ("launch", "site", "--detach"),
    "create_schedule": ("schedule", "create", "site", "--cron", "@daily", "--prompt", "Test it"),
}
UNHEARD = ServerSilent(server="Temporal", how="does not answer for 10 s", so="nobody knows whether it was heard")
REFUSED = NoFreeSlot(session="1a2b3c4d", reason="all slots are taken")


def kept(home: Home) -> list[Path]:
    return [*home.sessions.iterdir(), *home.schedules.iterdir()]


def answers(method: str, error: StratavoreError) -> dict[str, object]:
    def fails(**_: object) -> None:
        raise error

    return {"list_projects": [project()], method: fails}


@pytest.mark.parametrize("method", COMMANDS)
def test_what_may_have_been_begun_keeps_it(
    run: Run, fake: Serve, home: Home, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setenv("KEY", "of this shell")
    fake(**answers(method, UNHEARD))
    assert run(*COMMANDS[method]).code == UNHEARD.exit_code
    assert read_environment(only(kept(home)))["KEY"] == "of this shell"


@pytest.mark.parametrize("method", COMMANDS)
def test_nothing_is_left_of_what_was_refused(run: Run, fake: Serve, home: Home, method: str) -> None:
    fake(**answers(method, REFUSED))
    assert run(*COMMANDS[method]).code == REFUSED.exit_code
    assert kept(home) == []
