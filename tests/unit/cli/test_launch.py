"""What is told of sessions that were launched."""

import pytest

from cli.launch import report
from cli.output import Format

LIMITED = {"session_id": "1a2b3c4d-0", "state": "limited", "position": None, "reason": "its budget is used up"}
RUNNING = {"session_id": "2b3c4d5e-0", "state": "running", "position": None, "reason": None}


def test_why_one_is_held_is_told_and_nobody_is_sent_to_attach_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    report([LIMITED], Format.TABLE)
    assert capsys.readouterr().out == "1a2b3c4d  limited: its budget is used up\n"


def test_others_can_be_attached_to(capsys: pytest.CaptureFixture[str]) -> None:
    report([LIMITED, RUNNING], Format.TABLE)
    assert capsys.readouterr().out.splitlines()[1:] == ["2b3c4d5e  running", "Attach: stratavore attach SESSION"]
