"""Who is refused a command is told what the session is, and the way out."""

import pytest

from stratavore.control.refusals import wrong_state
from stratavore.errors import AlreadySo, StratavoreError, Unreachable, WrongState
from stratavore.models.states import SessionState
from stratavore.models.views import SessionView
from tests.unit.cli import examples

ACTIONS = ("pause", "resume", "terminate", "restart", "move", "sent text", "shown")


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", SessionState)
def test_every_state_has_a_way_out(state: SessionState, action: str) -> None:
    view = SessionView.model_validate(examples.session(state=state, reason="its host is away"))
    error = wrong_state("site", [view], action)
    assert isinstance(error, StratavoreError)
    assert isinstance(error, Unreachable if state is SessionState.UNREACHABLE else (WrongState, AlreadySo))
    said = str(error)
    assert "1a2b3c4d" in said
    assert str(state) in said or state is SessionState.UNREACHABLE
    assert "stratavore " in said


def test_who_recovers_goes_on_by_itself() -> None:
    view = SessionView.model_validate(examples.session(state=SessionState.RECOVERING))
    said = str(wrong_state("site", [view], "resume"))
    assert said.endswith("It goes on by itself; see when, with: stratavore sessions show 1a2b3c4d.")
