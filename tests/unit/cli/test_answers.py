import json
from pathlib import Path

import pytest

from cli.answers import Answers
from cli.output import LaunchFormat
from stratavore.agents.registry import adapter_for

SESSION = {"session_id": "s", "exit_code": 0}


def line(**row: object) -> bytes:
    return json.dumps(row).encode() + b"\n"


def text(words: str) -> bytes:
    return line(type="assistant", message={"content": [{"type": "text", "text": words}]})


def test_words_are_written_as_they_come_and_what_was_cut_off_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "output"
    answers = Answers(adapter_for("claude"), LaunchFormat.TABLE)
    assert answers.read(file, 0) == 0
    whole = text("One.")
    file.write_bytes(whole[:20])
    assert answers.read(file, 0) == 20
    assert capsys.readouterr().out == ""
    file.write_bytes(whole + text("Two.")[:-9])
    answers.read(file, 20)
    assert capsys.readouterr().out == "One.\n"
    answers.end_runner()
    file.write_bytes(text("Three."))
    answers.read(file, 0)
    answers.end_runner()
    answers.finish(SESSION)
    assert capsys.readouterr().out == "Three.\n"


def test_a_last_line_without_an_end_counts_if_it_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "output").write_bytes(line(type="result", result="Two.", session_id="the agent's").rstrip())
    answers = Answers(adapter_for("claude"), LaunchFormat.JSON)
    answers.read(tmp_path / "output", 0)
    answers.end_runner()
    answers.finish(SESSION)
    assert json.loads(capsys.readouterr().out) == {"type": "result", "result": "Two.", **SESSION}


def test_no_result_is_told_as_none(capsys: pytest.CaptureFixture[str]) -> None:
    answers = Answers(adapter_for("claude"), LaunchFormat.JSON)
    answers.end_runner()
    answers.finish(SESSION)
    assert json.loads(capsys.readouterr().out) == {"result": None, **SESSION}


def test_lines_are_written_as_the_agent_wrote_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = text("One.") + line(type="result", result="One.")
    (tmp_path / "output").write_bytes(written + b'{"cut": ')
    answers = Answers(adapter_for("claude"), LaunchFormat.JSONL)
    answers.read(tmp_path / "output", 0)
    answers.end_runner()
    answers.finish(SESSION)
    assert capsys.readouterr().out.encode() == written


def test_a_program_is_shown_as_it_writes(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / "output").write_bytes(b"half a l\xff")
    answers = Answers(adapter_for("command"), LaunchFormat.TABLE)
    answers.read(tmp_path / "output", 0)
    assert capsysbinary.readouterr().out == b"half a l\xff"


def test_a_fault_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "output").write_bytes(text("API Error") + line(type="result", is_error=True, result="API Error"))
    answers = Answers(adapter_for("claude"), LaunchFormat.TABLE)
    answers.read(tmp_path / "output", 0)
    answers.finish(SESSION)
    assert tuple(capsys.readouterr()) == ("API Error\n", "")
    (tmp_path / "output").write_bytes(line(type="result", is_error=True, result="Another"))
    answers.read(tmp_path / "output", 0)
    answers.finish(SESSION)
    assert tuple(capsys.readouterr()) == ("", "Another\n")
